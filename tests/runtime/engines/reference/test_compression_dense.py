"""Which leaves cross as they are."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    Cast,
    Dgc,
    Gradiveq,
    Int4,
    Int8,
    OneBit,
    PowerSgd,
    Qsgd,
    RandomK,
    Sign,
    Ternary,
    TopK,
)
from diamond.runtime.engines.reference.compression.dense import are_coded
from tests.runtime.engines.reference.exchanges import Exchange, mean_once, members

ANY_SHAPE = [Cast, Int8, Int4, Qsgd]
MATRICES = [Sign, OneBit, Ternary, TopK, RandomK, Dgc, PowerSgd, Gradiveq]
SHAPES = [(), (9,), (33, 33), (3, 3, 121)]
PATHS = ("a/scale", "a/b", "a/w", "c/w")


@pytest.mark.parametrize("kind", ANY_SHAPE + MATRICES)
def test_leaves_of_fewer_than_two_dims_are_dense_for_some(kind):
    like = [np.ones(shape) for shape in SHAPES]
    first = kind in ANY_SHAPE
    assert are_coded(kind(), like, PATHS) == [first, first, True, True]


@pytest.mark.parametrize("kind", ANY_SHAPE + MATRICES)
def test_excluded_leaves_are_dense(kind):
    like = [np.ones(shape) for shape in SHAPES]
    assert are_coded(kind(exclude=("a/*",)), like, PATHS)[2:] == [False, True]
    assert (
        are_coded(kind(exclude=("nowhere", "[ac]/w")), like, PATHS)[2:] == [False] * 2
    )


def test_leaves_smaller_than_a_block_of_signs_are_dense():
    like = [np.ones((31, 33)), np.ones((32, 32)), np.ones((2, 4)), np.ones(2048)]
    for term in (Sign(), OneBit()):
        assert are_coded(term, like, "abcd") == [False, True, False, False]
    assert are_coded(Sign(block=8), like, "abcd") == [True, True, True, False]


def test_factors_must_be_less_than_half_a_matrix():
    like = [np.ones((8, 8)), np.ones((8, 9)), np.ones((4, 2, 2, 1))]
    assert are_coded(PowerSgd(rank=1), like, "abc") == [True, True, False]
    assert are_coded(PowerSgd(rank=2), like, "abc") == [False, True, False]


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("kind", ANY_SHAPE + MATRICES)
@pytest.mark.parametrize("everything", [True, False])
def test_dense_leaves_cross_exactly(kind, num, everything):
    term = kind(exclude=("leaf*",) if everything else ("leaf0", "leaf1"))
    values = members(num, (7,), (16, 3), (33, 32))
    got = mean_once(term, values, decay=0.9)
    for place in range(3 if everything else 2):
        column = [leaves[place] * (1 / num) for leaves in values]
        assert (got[place] == sum(column[1:], start=column[0])).all()


def test_excluding_a_leaf_does_not_change_the_lots_of_the_others():
    """A leaf's seed is its place among all leaves."""
    values = members(2, (6, 6), (6, 6))
    whole = mean_once(Ternary(), values)
    part = mean_once(Ternary(exclude=("leaf0",)), values)
    assert (whole[1] == part[1]).all()
    assert (whole[0] != part[0]).any()


def test_a_codec_of_dense_leaves_alone_goes_on():
    exchange = Exchange(Sign(), members(1, (3,))[0], 3)
    exchange(members(3, (3,)))
    assert exchange(members(3, (3,)))[0].shape == (3,)
