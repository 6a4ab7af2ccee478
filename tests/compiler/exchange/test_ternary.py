"""Ternaries: integers of one shared unit."""

import numpy as np
import pytest

from diamond.compiler.exchange.compression.ternary import ternary
from diamond.compiler.exchange.noise import Stream, key_of, uniform
from tests.compiler.exchange.numpy_codecs import seed_of
from tests.compiler.exchange.rounds import (
    SHAPES,
    average_of,
    drawn,
    exchanged,
    means_of,
    messages_of,
)


def _scale(values, clip):
    sizes = np.abs(values).reshape(len(values), -1).max(1)
    sigmas = values.reshape(len(values), -1).std(1)
    return (np.minimum(sizes, clip * sigmas) if clip else sizes).max()


def _by_hand(values, leaf, count, clip):
    """The sum of everyone's ternaries, and their unit."""
    unit, total = np.float32(_scale(values, clip)), 0
    for member, v in enumerate(values):
        key = key_of(seed_of(Stream.TERNARIES, leaf), count, member)
        chance = np.asarray(uniform(key, v.shape))
        total = total + np.sign(v) * (chance < np.minimum(np.abs(v), unit) / unit)
    return total, unit


@pytest.mark.parametrize("members", [1, 2, 5, 6, 8])
@pytest.mark.parametrize("clip", [0.0, 1.5])
def test_ternary_is_numpy_s(members, clip) -> None:
    rounds = drawn(members, rounds=2)
    made, state = exchanged(ternary(clip=clip, size=members), rounds)
    for leaf in (0, 1):
        for count, values in enumerate(rounds):
            total, unit = _by_hand(values[leaf], leaf, count, clip)
            for copy in made[count][leaf]:
                np.testing.assert_array_equal(np.rint(copy * members / unit), total)
                np.testing.assert_allclose(copy, total * unit / members, rtol=1e-5)
    assert state.uses.tolist() == [2] * members


@pytest.mark.parametrize("members", [2, 8])
def test_it_is_right_on_average_where_nothing_is_clipped(members) -> None:
    [values] = drawn(members, rounds=1)
    average = average_of(ternary(clip=0, size=members), values, 400)
    for leaf, found in zip(values, average, strict=True):
        # The deviation of one ternary is at most half the unit.
        bound = 4.5 * _scale(leaf, 0) / 2 / np.sqrt(400 * members)
        assert np.abs(found - leaf.mean(0)).max() < bound


def test_equal_sizes_are_exact() -> None:
    signs = np.where(np.random.default_rng(0).random((6, 3, 5)) < 0.5, -2.5, 2.5)
    [[made]] = means_of(ternary(clip=0, size=6), [[signs.astype(np.float32)]])
    np.testing.assert_allclose(made, signs.mean(0), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("members", [2, 6])
def test_zeros_stay_zeros_beside_others(members) -> None:
    [values] = drawn(members, rounds=1)
    values[0][:] = 0
    [made] = means_of(ternary(size=members), [values])
    assert not made[0].any()
    assert made[1].any()


@pytest.mark.parametrize("members", [2, 6])
@pytest.mark.parametrize("clip", [0.0, 2.5])
@pytest.mark.parametrize("wild", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_stays_in_sight(members, clip, wild) -> None:
    [values] = drawn(members, rounds=1)
    values[0][1, 2, 3] = wild
    [made] = means_of(ternary(clip=clip, size=members), [values])
    assert not np.isfinite(made[0][2, 3])
    assert np.isfinite(made[1]).all()


def test_up_to_five_members_gather_two_bits_a_value() -> None:
    # 30 + 28 values, four to a byte.
    scales = ("all-reduce", "f32", len(SHAPES))
    gathered = [scales, ("all-gather", "u8", 15)]
    assert messages_of(ternary(size=5), 5) == gathered
    assert ternary(size=5).route == "gather"


@pytest.mark.parametrize(("members", "sums"), [(6, "s8"), (127, "s8"), (128, "s16")])
def test_more_members_add_chunks(members, sums) -> None:
    padded = -(-58 // (4 * members)) * 4 * members
    assert messages_of(ternary(size=members), members) == [
        ("all-reduce", "f32", len(SHAPES)),
        ("all-to-all", "u8", padded // 4),
        ("all-gather", sums, padded // members),
    ]
    assert ternary(size=members).route == "two_phase"
