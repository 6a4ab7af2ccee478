"""Steps that are cut up, with means formed beside them: the numbers stay."""

from functools import partial
from typing import Any

import jax
import numpy as np
import pytest

from diamond.compiler.compat import LATENCY_HIDING
from diamond.compiler.hlo import collectives_of
from diamond.compiler.lane import Lane
from diamond.compiler.overlap import Overlapped
from diamond.compiler.variants import variants_of
from diamond.dsl.vocabulary import (
    Axis,
    Call,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Pipelined,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Train,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests.comparison import follow
from tests.compiler.programs import checked, program_of
from tests.conversion import Pair
from tests.schemes import examples_of, task_of, tiny_batch

KEPT = Int8(block=8, feedback=True)
PLAIN = NoCompression()
STREAMING = Local(every=4, outer=Nesterov(), fragments=2, delay=1, merge=0.5)
LATE = Local(every=4, outer=Nesterov(), delay=3)
LATER = Scheduled(((Synchronous(), 4), (Pipelined(1), None)))
STEPS = 12


def scheme_of(*axes: tuple[str, int, Any, Any]) -> Scheme:
    """Returns a scheme over axes (name, size, rule, codec), outermost first."""
    adam = Call("adam", (("learning_rate", 0.003),))
    return checked(
        Scheme(
            "overlapped",
            train=Train(optimizer=adam, steps=STEPS, precision="fp64"),
            mesh=tuple(Axis(name, size) for name, size, *_ in axes),
            replicas=tuple(
                Replicas(name, consistency=rule, compression=codec)
                for name, _, rule, codec in axes
            ),
        )
    )


SCHEMES = {
    "gradients": (("host", 4, Pipelined(1), KEPT),),
    "two steps late": (("host", 2, Pipelined(2), PLAIN),),
    "inside": (("site", 2, Pipelined(1), KEPT), ("host", 2, Synchronous(), KEPT)),
    "parameters": (("site", 2, STREAMING, KEPT), ("host", 2, Synchronous(), PLAIN)),
    "both": (("site", 2, LATE, PLAIN), ("host", 2, Pipelined(1), KEPT)),
    "a later phase": (("host", 4, LATER, KEPT),),
}


@pytest.fixture(autouse=True)
def _fp64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", SCHEMES)
def test_it_is_what_the_reference_computes(name: str) -> None:
    pair = _pair(scheme_of(*SCHEMES[name]))
    batch_at = partial(tiny_batch, examples=examples_of(pair.program.scheme))
    follow(pair, batch_at, steps=STEPS, tolerance=1e-10)
    pair.program.certify()


def test_means_are_formed_on_devices_of_their_own() -> None:
    program = program_of(scheme_of(*SCHEMES["parameters"]), overlap=True)
    executables = program.executables
    assert isinstance(executables, Overlapped)
    due = next(d for d in variants_of(program.plan) if ("site.parameters.1", 0) in d)
    *here, across = executables.pieces(due)
    assert "site.parameters.1" not in {name for piece in here for name in _sent(piece)}
    assert _sent(across) == {"site.parameters.1"}
    inputs = jax.tree.leaves(across.input_shardings[0])
    assert all(s.device_set == set(jax.devices()[4:8]) for s in inputs)


def test_states_of_both_kinds_are_the_same_arrays() -> None:
    scheme = scheme_of(*SCHEMES["both"])
    one, other = program_of(scheme), program_of(scheme, overlap=True)
    batch = tiny_batch(0, examples_of(scheme))
    state = one.init(jax.random.key(0))
    for _ in range(5):
        state, _ = one.step(state, batch)
    moved = jax.device_put(
        jax.tree.map(np.asarray, state[1:]),
        jax.tree.map(lambda like: like.sharding, tuple(other.abstract_state[1:])),
    )
    there = type(state)(state.step, *moved)
    for _ in range(5):
        state, _ = one.step(state, batch)
        there, _ = other.step(there, batch)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-12), state, there)


def test_no_step_is_traced_again(monkeypatch: pytest.MonkeyPatch) -> None:
    program = program_of(scheme_of(*SCHEMES["gradients"]), overlap=True)
    batch = tiny_batch(0, examples_of(program.scheme))
    state = program.init(jax.random.key(0))
    state, _ = program.step(state, batch)
    monkeypatch.setattr(Lane, "ahead", None)
    monkeypatch.setattr(Lane, "behind", None)
    monkeypatch.setattr(Lane, "across", None)
    for _ in range(3):
        assert program.is_compiled(state)
        state, _ = program.step(state, batch)


def test_what_has_nothing_late_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing of `overlapped` can overlap"):
        program_of(scheme_of(("host", 4, Synchronous(), PLAIN)), overlap=True)


def test_twins_are_counted() -> None:
    with pytest.raises(ValueError, match=r"each with a twin, needs 16 devices"):
        program_of(scheme_of(("host", 8, Pipelined(1), PLAIN)), overlap=True)


def test_xla_knows_what_gpus_are_told() -> None:
    jax.jit(lambda x: x + 1, compiler_options=LATENCY_HIDING)(1.0)


def _pair(scheme: Scheme) -> Pair:
    task = task_of(scheme)
    return Pair(program_of(scheme, task, overlap=True), ReferenceEngine(scheme, task))


def _sent(piece: Any) -> set[str | None]:
    """Returns the exchanges whose collectives are in a compiled piece."""
    found = collectives_of(piece.as_text(), {"site": 2, "host": 2})
    return {each.exchange for each in found}
