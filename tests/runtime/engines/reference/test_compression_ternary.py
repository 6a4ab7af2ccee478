"""TernGrad."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Ternary
from diamond.runtime.engines.reference.compression import ternary
from tests.runtime.engines.reference.exchanges import Exchange, mean_once, members


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num", [1, 3])
def test_the_mean_is_unbiased_where_nothing_is_clipped(num, dtype):
    values, times = members(num, (4, 5), dtype=dtype), 2000
    exchange = Exchange(Ternary(clip=0.0), values[0], num)
    total = sum(exchange(values)[0].astype(np.float64) for _ in range(times))
    want = np.mean([v[0] for v in values], axis=0)
    scale = max(np.abs(v[0]).max() for v in values)
    bound = 5 * scale / (2 * np.sqrt(times * num))
    assert np.abs(total / times - want).max() < bound


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_mean_is_a_whole_number_of_scales(dtype):
    values = members(3, (8, 9), dtype=dtype)
    got = mean_once(Ternary(clip=0.0), values)[0]
    scale = max(np.abs(v[0]).max() for v in values) / 3
    assert got.dtype == dtype
    assert got / scale == pytest.approx(np.rint(got / scale), abs=1e-5)
    assert set(np.rint(got / scale).ravel()) <= set(range(-3, 4))


def test_the_scale_is_shared_and_clipped_by_hand():
    """The spreads are 1 and 2; at clip = 1.5 the tops are lower, and count."""
    values = [[np.array([[1.0, -1.0]])], [np.array([[2.0, -2.0]])]]
    assert [float(ternary.top_of(v[0], 1.5)) for v in values] == [1, 2]
    assert [float(ternary.top_of(v[0], 0.5)) for v in values] == [0.5, 1]
    # at 0.5 the shared scale is 1: both are clipped to the scale, and cross for sure
    assert mean_once(Ternary(clip=0.5), values)[0].tolist() == [[1, -1]]


def test_clipping_is_about_the_spread_not_the_size():
    assert float(ternary.top_of(np.array([10.0, 12.0]), 1.0)) == 1.0


def test_values_cross_where_the_lot_is_below_their_share():
    v, u = np.array([0.5, 0.5, -0.5, 0.0]), np.array([0.2, 0.3, 0.2, 0.0])
    assert ternary.encode(v, np.float64(2.0), u).tolist() == [1, 0, -1, 0]


def test_members_draw_lots_of_their_own():
    """Else the same values would cross at all members or at none."""
    got = mean_once(Ternary(clip=0.0), [members(1, (6, 6))[0]] * 2)[0]
    halves = np.abs(got) / np.abs(members(1, (6, 6))[0][0]).max()
    assert set(halves.ravel().round(6)) == {0, 0.5, 1}


def test_zeros_are_zero():
    assert (mean_once(Ternary(), [[np.zeros((3, 3))]] * 2)[0] == 0).all()
