"""PowerSGD and GradiVeQ."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Gradiveq, PowerSgd
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression import powersgd
from tests.runtime.engines.reference.exchanges import (
    Exchange,
    mean_once,
    members,
    normal,
    plain,
)

DTYPES = [np.float32, np.float64]


def near(dtype):
    return 2000 * np.finfo(dtype).eps


def off(got, want):
    return np.abs(got - want).max()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4, 7), (7, 4), (5, 5)])
def test_factors_of_full_rank_are_exact(shape, dtype):
    matrices = [normal(shape, dtype, seed=i) for i in range(3)]
    p, sides = powersgd.factorise(matrices, normal((shape[1], min(shape)), dtype))
    for matrix, side in zip(matrices, sides, strict=True):
        if shape[0] <= shape[1]:  # then P^ spans everything
            assert off(p @ side.T, matrix) < near(dtype)
    mean = sum(matrices) * (1 / 3)
    assert off(p @ (sum(sides) * (1 / 3)).T, mean) < near(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", [1, 2])
def test_a_mean_of_low_rank_is_exact(rank, dtype):
    """Each member's own matrix has full rank; only their mean has not."""
    low = normal((12, rank), dtype) @ normal((rank, 15), dtype, seed=1)
    deviation = normal((12, 15), dtype, seed=2)
    values = [
        [(low + deviation).reshape(12, 3, 5)],
        [(low - deviation).reshape(12, 3, 5)],
    ]
    got = mean_once(PowerSgd(rank=rank, feedback=False), values)[0]
    assert got.dtype == dtype
    assert got.shape == (12, 3, 5)
    assert off(got.reshape(12, 15), low) < near(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_powersgd_keeps_what_it_did_not_send(dtype):
    exchange = Exchange(PowerSgd(rank=2), members(1, (12, 15), dtype=dtype)[0], 3)
    given = wanted = 0
    for step in range(5):
        values = members(3, (12, 15), dtype=dtype, seed=step)
        given, wanted = given + exchange(values)[0], wanted + plain(values)[0]
    kept = np.mean([memories[0].error for memories in exchange.states], axis=0)
    assert np.abs(kept).max() > 0.1
    assert off(given + kept, wanted) < near(dtype)


def test_a_member_keeps_what_its_own_projection_misses():
    """The columns of the mean are those of P^, and what is kept is at right angles."""
    exchange = Exchange(PowerSgd(rank=2), members(1, (12, 15))[0], 3)
    for step in range(3):
        (mean,) = exchange(members(3, (12, 15), seed=step))
        for memories in exchange.states:
            assert np.abs(mean.T @ memories[0].error).max() < 1e-12


def test_the_first_factor_is_drawn_for_the_leaf():
    exchange = Exchange(PowerSgd(rank=2), members(1, (3,), (12, 15))[0], 2, axis="pod")
    seed = noise.seed_within(noise.seed_of(noise.Use.FACTORS, "pod"), 1)
    u = noise.uniform(seed, 0, 0, 30).astype(np.float64)
    assert [memories[0] for memories in exchange.states] == [None, None]
    for memories in exchange.states:
        assert (memories[1].q == 2 * u.reshape(15, 2) - 1).all()


def test_the_factor_goes_on_from_where_it_was():
    """On the same matrix, again and again, the error falls to the best of the rank."""
    matrix = normal((12, 15))
    singular = np.linalg.svd(matrix, compute_uv=False)
    exchange = Exchange(PowerSgd(rank=1, feedback=False), [matrix], 1)
    losses = [np.linalg.norm(exchange([[matrix]])[0] - matrix) for _ in range(200)]
    assert losses[0] > losses[-1]
    assert losses[-1] == pytest.approx(np.sqrt((singular[1:] ** 2).sum()))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feedback", [True, False])
def test_a_whole_basis_is_exact(feedback, dtype):
    term = Gradiveq(slice=4, keep=4, every=3, feedback=feedback)
    exchange = Exchange(term, members(1, (7, 6), dtype=dtype)[0], 2)
    for step in range(7):
        values = members(2, (7, 6), dtype=dtype, seed=step)
        got = exchange(values)[0]
        assert got.dtype == dtype
        assert off(got, plain(values)[0]) < near(dtype)
        assert feedback is (exchange.states[0][0].error is not None)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_basis_is_of_the_principal_axes(dtype):
    """Rows in a plane through a centre are exact with two axes, however they move."""
    term = Gradiveq(slice=6, keep=2, every=2, feedback=False)
    axes, centre = normal((2, 6), dtype), normal(6, dtype, seed=1)
    rows = [normal((10, 2), dtype, seed=2 + i) @ axes + centre for i in range(4)]
    exchange = Exchange(term, [rows[0]], 2)
    assert off(exchange([[rows[0]], [rows[1]]])[0], (rows[0] + rows[1]) * 0.5) < 1e-6
    got = exchange([[rows[2]], [rows[3]]])[0]
    assert off(got, (rows[2] + rows[3]) * 0.5) < near(dtype)


def test_gradiveq_keeps_what_it_did_not_send_and_then_sends_it():
    exchange = Exchange(
        Gradiveq(slice=8, keep=2, every=3, feedback=True), [normal((5, 7))], 3
    )
    given = wanted = 0
    for step in range(7):
        values = members(3, (5, 7), seed=step)
        given, wanted = given + exchange(values)[0], wanted + plain(values)[0]
        kept = np.mean([memories[0].error for memories in exchange.states], axis=0)
        assert off(given + kept, wanted) < 1e-12
        assert (not kept.any()) is (step % 3 == 0)


def test_a_basis_is_learned_from_values_whose_squares_vanish():
    term = Gradiveq(slice=8, keep=2, every=9)
    bases = []
    for scale in (np.float32(1), np.float32(1e-15)):
        values = [scale * leaf for leaf in members(1, (9, 16), dtype=np.float32)[0]]
        exchange = Exchange(term, values, 1)
        exchange([values])
        bases.append(exchange.states[0][0].basis)
    assert bases[1].any(axis=0).all()
    np.testing.assert_allclose(bases[1], bases[0], atol=1e-4)


def test_a_basis_by_hand():
    exchange = Exchange(
        Gradiveq(slice=2, keep=1, every=9, feedback=True), [np.zeros((2, 2))], 1
    )
    first = np.array([[3.0, 1.0], [1.0, 1.0]])  # spread along the first place
    assert (exchange([[first]])[0] == first).all()
    memory = exchange.states[0][0]
    assert memory.mean.tolist() == [2, 1]
    assert np.abs(memory.basis).ravel().tolist() == [1, 0]
    assert exchange([[np.array([[5.0, 4.0], [0.0, 0.0]])]])[0].tolist() == [
        [5, 1],
        [0, 1],
    ]
    assert exchange.states[0][0].error.tolist() == [[0, 3], [0, -1]]


def test_the_first_basis_is_drawn_and_orthonormal():
    term = Gradiveq(slice=6, keep=3)
    (memories,) = Exchange(term, [np.zeros((9, 9))], 1).states
    seed = noise.seed_within(noise.seed_of(noise.Use.BASES, "site"), 0)
    u = noise.uniform(seed, 0, 0, 18).reshape(6, 3) * 2.0 - 1
    basis = memories[0].basis
    assert basis.T @ basis == pytest.approx(np.eye(3))
    assert basis[:, 0] == pytest.approx(u[:, 0] / np.linalg.norm(u[:, 0]))
    assert (memories[0].mean == 0).all()
