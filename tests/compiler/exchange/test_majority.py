"""A majority of signs against NumPy, ties and zeros and excluded tensors included."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import AllReduce, Sign, Synchronous
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

MAJORITY = AllReduce(reduce="majority")
VOTE = Sign(feedback=False)


def _signs(values):
    return np.where(values >= 0, 1, -1)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 8])
def test_the_sign_of_the_sum_of_signs(size) -> None:
    [values] = drawn(size, rounds=1, shapes=SHAPES)
    values[1][:, 0] = 0
    values[2][0] = -0.0
    [made], _ = mixed(mixer_for(MAJORITY, VOTE), [values])
    for leaf, found in zip(values, alike(made), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, _signs(_signs(leaf).sum(0)))


def test_a_tie_is_one() -> None:
    values = [np.full((2, *shape), 0.5, np.float32) for shape in SHAPES]
    for leaf in values:
        leaf[1] = -3
    [made], _ = mixed(mixer_for(MAJORITY, VOTE), [values])
    assert all((leaf == 1).all() for leaf in made)


def test_vectors_vote_and_excluded_tensors_are_averaged() -> None:
    [values] = drawn(4, rounds=1, shapes=SHAPES)
    form = Sign(feedback=False, exclude=("c/*",))
    [made], _ = mixed(mixer_for(MAJORITY, form), [values])
    bias, _, dense = alike(made)
    np.testing.assert_array_equal(bias, _signs(_signs(values[0]).sum(0)))
    np.testing.assert_allclose(dense, values[2].mean(0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "share"), [(4, 2), (2, 3), (8, 1)])
def test_votes_cross_as_bits_both_ways(size, share) -> None:
    found = sent(mixer_for(MAJORITY, VOTE), size)
    assert found == [("all-to-all", "u8", size * share), ("all-gather", "u8", share)]


def test_the_certificate_holds() -> None:
    axis = (4, Synchronous(), VOTE, MAJORITY)
    program = program_of(checked(scheme_over(axis, steps=2)))
    assert certified(program) == [{"all-to-all": 1, "all-gather": 1}]
