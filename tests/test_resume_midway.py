"""A run goes on bit for bit from a checkpoint in the middle of whatever it exchanges.

A scheme is run undisturbed, and once more from its own checkpoint of step 7, which lies
between two meetings, within a warm-up, or with a mean on its way. What that checkpoint
holds is then left out, array by array: each time the run must end elsewhere, or the
comparison would say nothing about that array.
"""

import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from jax.experimental.compilation_cache import compilation_cache

from diamond.dsl.load import load_text
from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.checkpoints.leaves import from_arrays, name_leaves
from diamond.runtime.progress import Silent
from diamond.runtime.session import open_session, run_session
from tests.test_resume import arrays

STOP, STEPS = 7, 13
SCHEME = f"""\
model mlp {{ width = 8; layers = 1 }}
data digits {{ batch = 12 }}
train {{ steps = {STEPS}; checkpoint = {STOP}; optimizer = """
LATE = "delays = delays(law = geometric, mean = 1, seed = 4)"

# Members, and what stands in `replicas over site`, or is laid over it.
QUICK = {
    "slowmo": (2, "consistency = local(every = 3, outer = slowmo, state = average)"),
    "stale_synchronous": (4, f"consistency = stale_synchronous(bound = 3, {LATE})"),
    "asynchronous": (2, f"consistency = asynchronous(compensation = dc, {LATE})"),
    "streaming": (
        2,
        "consistency = local(every = 6, fragments = 2, delay = 2, merge = 0.25,"
        " outer = nesterov)",
    ),
    "gossip": (
        3,
        "centralization = gossip(topology = chain, push_sum = true)\n"
        "consistency = local(every = 2)",
    ),
    "parameter_server": (
        4,
        "centralization = parameter_server(backup = 1)\n"
        "compression = int8(block = 8, feedback = true)",
    ),
    "two_phase": (4, "compression = int8(block = 8, feedback = true)"),
    "gathered": (2, "compression = topk(density = 0.1, feedback = true)"),
    "powersgd": (2, "compression = powersgd(rank = 2, start = 2, feedback = true)"),
    "onebit": (4, "compression = onebit(start = 4)"),
    "zero": (4, "zero(stage = 3, compression = int8(block = 8))"),
    "dgc": (2, "compression = dgc(density = 0.03, warmup = 12)"),
    "scheduled": (
        2,
        "consistency = synchronous for 2 steps,"
        " then local(every = 4, outer = nesterov)\n"
        "compression = none for 3 steps, then int8(block = 8, feedback = true)",
    ),
}
OTHERS = {
    "bmuf": (2, "consistency = local(every = 3, outer = bmuf, state = reset)"),
    "elastic": (2, "consistency = elastic(every = 3, rho = 0.8)"),
    "pipelined": (2, "consistency = pipelined(delay = 2)"),
    "hogwild": (2, "consistency = hogwild(max_staleness = 2)"),
    "gradiveq": (
        2,
        "compression = gradiveq(slice = 8, keep = 2, every = 5, feedback = true)",
    ),
    "onebit_warming": (2, "compression = onebit(start = 9)"),
    "randomk": (2, "compression = randomk(density = 0.2, feedback = false)"),
    "qsgd": (4, "compression = qsgd(bits = 4)"),
    "zero_qsgd": (4, "zero(stage = 2, compression = qsgd(bits = 4, bucket = 8))"),
}
CASES = QUICK | OTHERS
# What is kept and read no more: the mean of a fragment that has landed.
LANDED = {"streaming": "rules/site.0/moved/"}


@pytest.fixture(scope="module", autouse=True)
def _compiled_once(tmp_path_factory):
    """Lets a fresh session read what another one compiled."""
    settings = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("compiled")),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    _set(settings)
    yield
    _set(before)


def _set(settings):
    for name, value in settings.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


def _session(name):
    members, clauses = CASES[name]
    optimizer = "sgd(lr = 0.05)" if name == "dgc" else "adam(learning_rate = 0.01)"
    laid = f"replicas over site {{\n{clauses}\n}}"
    if name.startswith("zero"):
        laid = f"parallelism {{ {clauses} over site }}"
    mesh = f"mesh {{ site = {members} }}\n{laid}"
    # 1-bit Adam leaves tensors alone that are smaller than its block.
    wide = SCHEME.replace("width = 8", "width = 32")
    head = wide if "onebit" in name else SCHEME
    return open_session(load_text(head + optimizer + " }\n" + mesh)[0], Path())


def _run(session, folder):
    result = run_session(session, folder, "mesh", Silent())
    return result, arrays({"checkpoint": result.checkpoint})


def _differ(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if one[name].tobytes() != other[name].tobytes()]


def _without(one, saved, program):
    """Returns a saved state on the mesh, but for one array, as it was at the start."""
    start = name_leaves(program.init(jax.random.key(0)))
    arrays = {
        name: jax.device_put(start[name] if name == one else saved[name], leaf.sharding)
        for name, leaf in name_leaves(program.abstract_state._replace(step=())).items()
        if np.prod(leaf.shape)
    }
    like = program.abstract_state
    return from_arrays(like, arrays | {"step": saved["step"]})


def _ends(state, session):
    """Returns the arrays of a state after the steps that are left."""
    for step in range(STOP, STEPS):
        state, _ = session.program.step(state, session.data.batch_at(step))
    named = name_leaves(state._replace(step=()))
    return {name: np.asarray(leaf) for name, leaf in named.items() if leaf.size}


def _unmissed(saved, end, session):
    """Returns the arrays that have changed by the stop, and that no step needs."""
    start = name_leaves(session.program.init(jax.random.key(0)))
    changed = _differ({n: np.asarray(start[n]) for n in saved}, saved)
    assert any(name.startswith(("rules", "mixers")) for name in changed)
    ends = {n: a for n, a in end.items() if n != "step"}
    return [
        name
        for name in changed
        if name != "step"
        and not _differ(_ends(_without(name, saved, session.program), session), ends)
    ]


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in OTHERS)]
)
def test_a_run_ends_as_if_it_had_never_stopped(name, tmp_path) -> None:
    session = _session(name)
    result, end = _run(session, tmp_path / "whole")
    stopped = shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    store = CheckpointStore(stopped / "checkpoints")
    shutil.rmtree(store.path(STEPS))
    assert store.latest() == STOP
    saved = arrays({"checkpoint": store.path(STOP)})

    again, resumed = _run(_session(name), stopped)
    assert not _differ(resumed, end)
    assert (again.loss, again.metrics) == (result.loss, result.metrics)
    unmissed = _unmissed(saved, end, session)
    assert all(one.startswith(LANDED.get(name, "-")) for one in unmissed), unmissed
