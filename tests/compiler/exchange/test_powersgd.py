"""PowerSGD: low-rank factors."""

import numpy as np
import pytest

from diamond.compiler.exchange.compression.powersgd import powersgd
from diamond.compiler.exchange.noise import key_of, seed_within, uniform
from tests.compiler.exchange.rounds import (
    average_of,
    drawn,
    exchanged,
    means_of,
    messages_of,
)


def _orthonormal(p):
    q, r = np.linalg.qr(p)
    return q * np.sign(np.diag(r))


def _by_hand(rounds, leaf, rank, seed, feedback):
    """The definition in fp64 on matrices `[n, m]`; means and residuals."""
    values = [each[leaf].astype(np.float64) for each in rounds]
    members, n = values[0].shape[:2]
    values = [each.reshape(members, n, -1) for each in values]
    m = values[0].shape[2]
    right = (
        2 * np.asarray(uniform(key_of(seed_within(seed, leaf), 0, 0), (m, rank)), float)
        - 1
    )
    lost, made = np.zeros_like(values[0]), []
    for v in values:
        matrices = v + lost
        left = _orthonormal((matrices @ right).mean(0))
        mine = matrices.transpose(0, 2, 1) @ left
        right = mine.mean(0)
        made.append(left @ right.T)
        if feedback:
            lost = matrices - left @ mine.transpose(0, 2, 1)
    return made, lost, right


@pytest.mark.parametrize("members", [1, 2, 4])
@pytest.mark.parametrize("feedback", [True, False])
@pytest.mark.parametrize("rank", [1, 2])
def test_powersgd_is_numpy_s(members, feedback, rank) -> None:
    shapes = ((9, 8), (10, 3, 3))
    rounds = drawn(members, rounds=4, shapes=shapes)
    compressor = powersgd(rank=rank, feedback=feedback, seed=11)
    made, state = exchanged(compressor, rounds)
    for leaf, shape in enumerate(shapes):
        means, lost, right = _by_hand(rounds, leaf, rank, 11, feedback)
        for number, wanted in enumerate(means):
            for copy in made[number][leaf]:
                assert copy.shape == shape
                np.testing.assert_allclose(
                    copy.reshape(wanted.shape), wanted, atol=1e-4
                )
        np.testing.assert_allclose(state.right[leaf][0], right, atol=1e-4)
        if feedback:
            kept = state.lost[leaf].reshape(lost.shape)
            np.testing.assert_allclose(kept, lost, atol=1e-4)
    assert feedback or state.lost is None


@pytest.mark.parametrize("members", [1, 4])
def test_full_rank_is_the_mean(members) -> None:
    rounds = drawn(members, shapes=((6, 5), (3, 4, 2)))
    for values, made in zip(rounds, means_of(powersgd(rank=8), rounds), strict=True):
        for leaf, mean in zip(values, made, strict=True):
            np.testing.assert_allclose(mean, leaf.mean(0), atol=1e-5)


def test_a_mean_of_rank_one_is_exact_at_rank_one() -> None:
    rng = np.random.default_rng(3)
    mean = np.outer(rng.standard_normal(9), rng.standard_normal(8))
    apart = rng.standard_normal((2, 9, 8))
    values = (mean + np.stack([apart[0], -apart[0]])).astype(np.float32)
    [[made]] = means_of(powersgd(rank=1), [[values]])
    np.testing.assert_allclose(made, mean, atol=1e-5)


def test_feedback_makes_up_for_the_rank_in_time() -> None:
    """The sum of what crossed follows the sum of the values; a low rank alone not."""
    [values] = drawn(2, rounds=1, shapes=((9, 8),))
    errors = {}
    for feedback in (True, False):
        compressor = powersgd(rank=1, feedback=feedback)
        [average] = average_of(compressor, values, 60)
        errors[feedback] = np.linalg.norm(average - values[0].mean(0))
    assert errors[True] < 0.2 * errors[False]


@pytest.mark.parametrize("wild", [np.nan, np.inf])
def test_what_is_no_number_stays_in_sight(wild) -> None:
    rounds = drawn(2, rounds=2, shapes=((9, 8),))
    rounds[0][0][1, 2, 3] = wild
    one, two = means_of(powersgd(), rounds)
    assert not np.isfinite(one[0]).all()
    assert not np.isfinite(two[0]).all()


def test_factors_of_all_tensors_cross_in_two_messages() -> None:
    wanted = [
        ("all-reduce", "f32", 2 * (9 + 10)),
        ("all-reduce", "f32", 2 * (8 + 9)),
    ]
    assert messages_of(powersgd(rank=2), 4, ((9, 8), (10, 3, 3))) == wanted


def test_tensors_that_factors_do_not_make_smaller_are_skipped() -> None:
    skips = powersgd(rank=1).skips
    assert skips((100,))
    assert skips((4, 4))  # 2 (4 + 4) is 16
    assert not skips((4, 5))  # 2 (4 + 5) is 18, of 20
    assert skips((5, 3))  # 2 (5 + 3) is 16, of 15
    assert powersgd(rank=100).skips((40, 40))
