"""Outer steps against NumPy, and where they are the same."""

import jax
import numpy as np
import pytest

from diamond.compiler.exchange.consistency.local import local
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.outer.average import average
from diamond.compiler.exchange.outer.bmuf import bmuf
from diamond.compiler.exchange.outer.nesterov import nesterov
from diamond.compiler.exchange.outer.slowmo import slowmo
from tests.compiler.exchange.training import trained

MOVES = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)


def _stepped(outer):
    """Returns where an outer optimizer is after each of some displacements."""
    anchor, seen = np.ones(4, np.float32), []
    state = outer.init(anchor)
    for move in MOVES:
        anchor, state = outer.step(anchor, move, state)
        seen.append(np.asarray(anchor))
    return np.stack(seen)


def _nearly(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_slowmo_is_numpy_s() -> None:
    x, b, seen = np.ones(4), np.zeros(4), []
    for move in MOVES:
        b = 0.6 * b + move
        x = x - 0.8 * b
        seen.append(x)
    _nearly(_stepped(slowmo(lr=0.8, momentum=0.6)), seen)


def test_bmuf_starts_ahead_of_what_it_filters() -> None:
    model, b, seen = np.ones(4), np.zeros(4), []
    start = model
    for move in MOVES:
        mean = start - move
        b = 0.75 * b + 0.8 * (mean - start)
        model = model + b
        start = model + 0.75 * b
        seen.append(start)
    _nearly(_stepped(bmuf(lr=0.8, size=4)), seen)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_slowmo_and_classic_bmuf_are_one_at_a_learning_rate_of_one(momentum) -> None:
    block = bmuf(lr=1.0, momentum=momentum, nesterov=False, size=4)
    _nearly(_stepped(slowmo(lr=1.0, momentum=momentum)), _stepped(block))


@pytest.mark.parametrize(
    "outer",
    [
        nesterov(lr=1.0, momentum=0.0),
        slowmo(lr=1.0, momentum=0.0),
        bmuf(lr=1.0, momentum=0.0, size=4),
        bmuf(size=1),
    ],
)
def test_without_momentum_all_are_the_average(outer) -> None:
    _nearly(_stepped(outer), _stepped(average()))


def test_bmuf_s_momentum_is_that_of_its_copies() -> None:
    _nearly(_stepped(bmuf(size=4)), _stepped(bmuf(momentum=0.75, size=4)))


@pytest.mark.parametrize("outer", [slowmo(), bmuf(size=2)])
def test_the_state_is_like_the_parameters(outer) -> None:
    params = [np.ones((2, 3), np.float32), np.ones(3, np.float64)]
    with jax.enable_x64(True):
        _, state = outer.step(params, params, outer.init(params))
        for leaf, like in zip(state.momentum, params, strict=True):
            assert (leaf.shape, leaf.dtype) == (like.shape, like.dtype)


@pytest.mark.parametrize("is_exact", [True, False])
def test_averaging_after_each_step_of_sgd_is_synchronous(is_exact) -> None:
    every_step = trained(
        lambda wire: local(every=1, outer=average(), is_exact=is_exact)
    )
    tight = trained(lambda wire: synchronous())
    np.testing.assert_allclose(every_step.x, tight.x, rtol=1e-5, atol=1e-6)
