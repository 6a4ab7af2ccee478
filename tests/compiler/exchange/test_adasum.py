"""Adasum against NumPy, and where it is a sum and where it is no sum at all."""

import jax
import numpy as np
import pytest

from diamond.compiler.exchange.centralization.adasum import adaptive_sum, adasum
from diamond.compiler.exchange.wire import mesh_wire
from diamond.dsl.vocabulary import AllReduce, Call, Local, NoCompression, Synchronous
from tests.compiler.exchange.mixers import (
    SHAPES,
    alike,
    certified,
    mixed,
    mixer_for,
    sent,
)
from tests.compiler.exchange.rounds import drawn
from tests.compiler.programs import checked, program_of, scheme_over
from tests.schemes import tiny_batch

ADASUM = AllReduce(reduce="adasum")
SGD = Call("sgd", (("learning_rate", 0.05),))


def _adasum(a, b):
    product = (a * b).sum()
    return a * (1 - product / (2 * (a * a).sum())) + b * (
        1 - product / (2 * (b * b).sum())
    )


def _tree(values):
    values, distance = list(values), 1
    while distance < len(values):
        firsts = [i & ~distance for i in range(len(values))]
        values = [_adasum(values[i], values[i | distance]) for i in firsts]
        distance *= 2
    return values[0]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_tensors_are_joined_in_pairs_as_numpy_joins_them(size) -> None:
    [values] = drawn(size, rounds=1, shapes=SHAPES)
    [made], _ = mixed(mixer_for(ADASUM), [values])
    for leaf, found in zip(values, alike(made), strict=True):
        np.testing.assert_allclose(
            found, _tree(leaf.astype(np.float64)), rtol=2e-5, atol=1e-5
        )


def test_the_sum_if_orthogonal() -> None:
    values = [np.zeros((4, *shape), np.float32) for shape in SHAPES]
    for leaf in values:
        for member in range(4):
            leaf[member].flat[member] = member + 1
    [made], _ = mixed(mixer_for(ADASUM), [values])
    for leaf, found in zip(values, alike(made), strict=True):
        np.testing.assert_array_equal(found, leaf.sum(0))


def test_one_of_them_if_equal() -> None:
    values = [np.full((8, *shape), 0.3, np.float32) for shape in SHAPES]
    [made], _ = mixed(mixer_for(ADASUM), [values])
    for leaf, found in zip(values, alike(made), strict=True):
        np.testing.assert_allclose(found, leaf[0], rtol=1e-5)


@pytest.mark.parametrize("small", [0.0, 1e-22])
def test_what_is_too_small_to_weigh_counts_in_full(small) -> None:
    a, b = np.full(3, small, np.float32), np.array([1, -2, 3], np.float32)
    np.testing.assert_allclose(adaptive_sum(a, b), b, atol=1e-20)
    assert np.isfinite(adaptive_sum(a, a)).all()


def test_three_members_are_refused() -> None:
    with pytest.raises(ValueError, match="`reduce = adasum` needs a power of two"):
        adasum(wire=mesh_wire("host", 3))


def test_whole_tensors_cross_once_a_level() -> None:
    assert sent(mixer_for(ADASUM), 8) == [("collective-permute", "f32", 42)] * 3


@pytest.mark.parametrize("rule", [Synchronous(), Local(every=1)])
def test_the_certificate_holds(rule) -> None:
    axis = (4, rule, NoCompression(), ADASUM)
    program = program_of(checked(scheme_over(axis, steps=2)))
    assert certified(program) == [{"collective-permute": 2}]


def test_displacements_are_joined_and_not_parameters() -> None:
    """Adasum is homogeneous: joined steps of SGD are a step along joined gradients."""
    found = []
    for rule in (Synchronous(), Local(every=1)):
        axis = (4, rule, NoCompression(), ADASUM)
        program = program_of(scheme_over(axis, steps=4, optimizer=SGD))
        state = program.init(jax.random.key(0))
        for step in range(4):
            state, _ = program.step(state, tiny_batch(step))
        found.append(jax.tree.leaves(program.params(state)))
    for one, two in zip(*found, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
