"""Axes inside axes: what is drawn, what follows a meeting, what stays equal."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import optax
import pytest

from diamond.compiler.build import build
from diamond.dsl.vocabulary import (
    Elastic,
    Gossip,
    Gradiveq,
    Hogwild,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    ParameterServer,
    Pipelined,
    PowerSgd,
    Qsgd,
    RandomK,
    Scheduled,
    Scheme,
    StaleSynchronous,
    Synchronous,
    Ternary,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests.comparison import follow
from tests.compiler.programs import checked, program_of, scheme_over
from tests.conversion import Pair
from tests.schemes import examples_of, task_of, tiny_batch

SYNC, NONE = Synchronous(), NoCompression()
QSGD = Qsgd(bits=4, bucket=8)
PUSHED = Gossip("chain", push_sum=True)
SERVER = ParameterServer(backup=1)


def _seeded(scheme: Scheme, seed: int, precision: str = "fp32") -> Scheme:
    train = replace(scheme.train, seed=seed, precision=precision)
    return checked(replace(scheme, train=train))


def _run(program, steps, state=None):
    state = program.init(jax.random.key(0)) if state is None else state
    for _ in range(steps):
        batch = tiny_batch(int(state.step), examples_of(program.scheme))
        state, _ = program.step(state, batch)
    return state


SCHEDULES = [
    (
        (Qsgd(4, 8, exclude=("hidden/*",)), 6),
        (Qsgd(4, 8, exclude=("out/b",)), None),
    ),
    ((Qsgd(4, 8), 6), (Qsgd(8, 6), None)),
]
NESTED = [
    scheme_over((2, SYNC, QSGD), (4, SYNC, Ternary())),
    scheme_over((2, Local(4), QSGD), (2, Hogwild(2), RandomK(0.2))),
    scheme_over((2, Local(4), NONE), (3, SYNC, QSGD, SERVER)),
    scheme_over((2, Local(4), NONE), (2, Elastic(2), Int8(block=8))),
    scheme_over((2, Local(4, Nesterov()), NONE), (3, SYNC, NONE, PUSHED)),
    scheme_over((4, SYNC, Scheduled(SCHEDULES[0]), ParameterServer(3))),
    scheme_over((4, SYNC, Scheduled(SCHEDULES[1]), ParameterServer())),
]


@pytest.mark.parametrize("scheme", NESTED, ids=range(len(NESTED)))
def test_programs_draw_and_follow_as_the_reference_does(scheme) -> None:
    scheme = _seeded(scheme, seed=7, precision="fp64")
    batch_at = partial(tiny_batch, examples=examples_of(scheme))
    with jax.enable_x64(True):
        pair = Pair(program_of(scheme), ReferenceEngine(scheme, task_of(scheme)))
        pair.program.certify()
        follow(pair, batch_at, steps=8, tolerance=1e-10)


def test_runs_over_seeds_have_other_noise() -> None:
    ends = []
    for seed in (0, 0, 1):
        program = program_of(_seeded(scheme_over((2, SYNC, QSGD)), seed))
        ends.append(np.asarray(_run(program, 2).params["hidden"]["w"]))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert (ends[0] != ends[2]).any()


def _stopped(scheme, step):
    """Returns a program whose learning rate is 0 from a step on."""
    task = task_of(scheme)._replace(optimizer=optax.sgd(lambda t: 0.3 * (t < step)))
    shapes = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in tiny_batch(0, examples_of(scheme)).items()
    }
    return build(scheme, task, shapes)


@pytest.mark.parametrize(
    "inner",
    [(2, Elastic(2), NONE), (3, SYNC, NONE, PUSHED), (2, Local(2), NONE, Gossip())],
    ids=str,
)
def test_what_an_outer_axis_made_equal_stays_so(inner) -> None:
    program = _stopped(checked(scheme_over((2, Local(4), NONE), inner)), step=4)
    state = _run(program, 3)
    assert np.ptp(state.params["hidden"]["w"], axis=0).max() > 0.01
    for _ in range(8):
        state = _run(program, 1, state)
        for leaf in jax.tree.leaves(state.params):
            assert np.ptp(leaf, axis=0).max() < 1e-6


def test_a_pull_after_an_outer_meeting_conserves_the_copies_sum() -> None:
    scheme = checked(scheme_over((2, Local(4), NONE), (2, Elastic(2), NONE)))
    program = _stopped(scheme, step=4)
    state = _run(program, 4)
    met = np.asarray(state.params["hidden"]["w"])
    after = np.asarray(_run(program, 2, state).params["hidden"]["w"])
    np.testing.assert_allclose(after.mean(1), met.mean(1), rtol=1e-5, atol=1e-6)
    assert np.abs(after - met).max() > 1e-3


COPIES = [
    scheme_over((2, Local(2, Nesterov()), QSGD), (2, SYNC, Int8(block=8))),
    scheme_over((2, SYNC, NONE, Gossip()), (2, Pipelined(2), RandomK(0.2))),
    scheme_over((2, Local(2), NONE), (2, Hogwild(2), QSGD, SERVER)),
    scheme_over((2, SYNC, PowerSgd()), (2, SYNC, Gradiveq(6, 2, 4))),
    scheme_over((2, StaleSynchronous(2), QSGD), (2, SYNC, Ternary())),
    scheme_over((2, Elastic(4), QSGD), (2, Elastic(2), QSGD)),
]


@pytest.mark.parametrize("scheme", COPIES, ids=range(len(COPIES)))
def test_copies_on_devices_are_equal_bit_for_bit_along_all_other_axes(scheme) -> None:
    """Every array of the state: where an axis has no leading dim, copies are equal."""
    state = _run(program_of(checked(scheme)), 7)
    leaves = jax.tree_util.tree_leaves_with_path(state._replace(step=None))
    for path, leaf in leaves:
        by_place: dict[str, list[np.ndarray]] = {}
        for shard in leaf.addressable_shards:
            by_place.setdefault(str(shard.index), []).append(np.asarray(shard.data))
        for copies in by_place.values():
            for copy in copies[1:]:
                np.testing.assert_array_equal(copy, copies[0], str(path))
