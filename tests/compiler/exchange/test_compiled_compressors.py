"""Compressors in whole schemes: certified, and trained with through their stages."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    Call,
    Dgc,
    Gradiveq,
    Local,
    Nesterov,
    NoCompression,
    OneBit,
    PowerSgd,
    RandomK,
    Synchronous,
    Ternary,
    TopK,
)
from tests.compiler.programs import program_of, scheme_over
from tests.schemes import examples_of, tiny_batch

ADAM = Call("adam", (("learning_rate", 0.003),))
SGD = Call("sgd", (("learning_rate", 0.03),))
DENSE = ("all-reduce", "f32")


def _program(*axes: Any, optimizer: Any = None) -> Any:
    scheme = scheme_over(*axes, steps=6)
    if optimizer is not None:
        scheme = replace(scheme, train=replace(scheme.train, optimizer=optimizer))
    return program_of(scheme)


def _trained(program: Any, steps: int = 6) -> Any:
    state = program.init(jax.random.key(0))
    for step in range(steps):
        state, _ = program.step(state, tiny_batch(step, examples_of(program.scheme)))
    return jax.tree.map(np.asarray, program.params(state))


def _sent(certificate: Any) -> dict[Any, int]:
    """Returns elements by exchange, kind and type."""
    return {(r.exchange, r.kind, r.dtype): r.elements for r in certificate.rows}


@pytest.mark.parametrize(
    ("term", "members", "wanted"),
    [
        # The tensors are 6 x 5, 5 x 3, and vectors of 5 and 3 that cross as they are.
        (TopK(0.2), 4, {DENSE: 8, ("all-gather", "f32"): 9, ("all-gather", "s32"): 9}),
        (RandomK(0.2), 4, {DENSE: 8 + 6 + 3}),
        (Dgc(0.1), 4, {DENSE: 8, ("all-gather", "f32"): 5, ("all-gather", "s32"): 5}),
        # 5 x 3 does not pay at rank 1, and 6 x 5 not at rank 2.
        (PowerSgd(1), 4, {DENSE: 8 + 15 + 6 + 5}),
        (PowerSgd(2), 4, {DENSE: 53}),
        (Gradiveq(8, 2, 1), 4, {DENSE: 53}),
        (Ternary(), 4, {DENSE: 8 + 2, ("all-gather", "u8"): 12}),
        (
            Ternary(),
            8,
            {DENSE: 8 + 2, ("all-to-all", "u8"): 16, ("all-gather", "s8"): 8},
        ),
        (TopK(0.2, exclude=("hidden/*",)), 2, {DENSE: 38, ("all-gather", "f32"): 3}),
    ],
    ids=str,
)
def test_the_compiled_messages_are_the_planned_ones(term, members, wanted) -> None:
    program = _program((members, Synchronous(), term))
    found = _sent(program.certify())
    for (kind, dtype), elements in wanted.items():
        assert found["chip.gradients", kind, dtype] == elements
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(_trained(program)))


@pytest.mark.parametrize(
    ("term", "stages"),
    [(PowerSgd(1, start=2), 2), (Dgc(0.1, warmup=2), 3), (OneBit(start=2), 2)],
    ids=str,
)
def test_stages_are_compiled_and_share_what_they_keep(term, stages) -> None:
    program = _program((4, Synchronous(), term), optimizer=ADAM)
    assert len(program.plan.exchanges) == stages
    program.certify()
    kept = program.abstract_state.mixers
    assert len(kept) == (2 if isinstance(term, PowerSgd) else 1)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(_trained(program)))


def test_turns_of_gradiveq_make_two_programs() -> None:
    program = _program((4, Synchronous(), Gradiveq(8, 2, 3)))
    assert program.certify().programs == 2
    [exchange] = program.plan.exchanges
    # 53 values; then 2 coefficients of each of 4 + 2 rows, and the vectors.
    sizes = [sum(m.elements for m in exchange.sent(turn)) for turn in (0, 1)]
    assert sizes == [53, 2 * 6 + 8]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(_trained(program)))


@pytest.mark.parametrize("term", [TopK(1.0), RandomK(1.0), Gradiveq(2, 2, 2)], ids=str)
def test_what_loses_nothing_trains_as_no_compression(term) -> None:
    one = _trained(_program((2, Synchronous(), term), optimizer=SGD))
    two = _trained(_program((2, Synchronous(), NoCompression()), optimizer=SGD))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_before_its_start_onebit_trains_as_adam() -> None:
    one = _trained(_program((2, Synchronous(), OneBit(start=9)), optimizer=ADAM))
    two = _trained(_program((2, Synchronous(), NoCompression()), optimizer=ADAM))
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("term", [TopK(0.2), PowerSgd(1), Gradiveq(8, 2, 2)], ids=str)
def test_displacements_cross_between_sites(term) -> None:
    outer = (2, Local(2, Nesterov()), term)
    program = _program(outer, (2, Synchronous(), RandomK(0.5)))
    program.certify()
    state = program.init(jax.random.key(0))
    for step in range(4):
        state, _ = program.step(state, tiny_batch(step))
    for one, other in ((0, 1), (0, 2)):
        for a, b in zip(
            jax.tree.leaves(program.member_params(state, one)),
            jax.tree.leaves(program.member_params(state, other)),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
