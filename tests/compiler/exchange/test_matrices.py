"""Orthonormal columns."""

import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.matrices import gram_schmidt, noise_matrix, product
from diamond.compiler.exchange.noise import key_of, seed_within, uniform

TALL = np.random.default_rng(0).standard_normal((9, 4), np.float32)


def _by_hand(matrix):
    """Modified Gram-Schmidt, one column at a time."""
    done = []
    for column in matrix.astype(np.float64).T:
        norm0 = np.linalg.norm(column)
        for unit in done:
            column = column - unit * (unit @ column)
        norm = np.linalg.norm(column)
        keeps = norm > np.sqrt(np.finfo(matrix.dtype).eps) * norm0
        done.append(column / norm if keeps else np.zeros_like(column))
    return np.stack(done, 1)


def test_columns_are_those_of_the_definition() -> None:
    np.testing.assert_allclose(gram_schmidt(TALL), _by_hand(TALL), atol=1e-6)


def test_columns_are_orthonormal() -> None:
    q = np.asarray(gram_schmidt(TALL))
    np.testing.assert_allclose(q.T @ q, np.eye(4), atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 1e-9, 1e9])
def test_a_column_that_says_nothing_new_is_zeros(scale) -> None:
    matrix = scale * np.stack([TALL[:, 0], 3 * TALL[:, 0], 0 * TALL[:, 0]], 1)
    matrix = np.concatenate([matrix, scale * TALL[:, 1:2]], 1)
    q = np.asarray(gram_schmidt(matrix))
    assert not q[:, 1:3].any()
    np.testing.assert_allclose(q[:, [0, 3]], _by_hand(matrix)[:, [0, 3]], atol=1e-6)


def test_more_columns_than_rows_leave_zeros() -> None:
    q = np.asarray(gram_schmidt(TALL.T))
    np.testing.assert_allclose(q[:, :4].T @ q[:, :4], np.eye(4), atol=1e-5)
    assert not q[:, 4:].any()


def test_what_is_no_number_stays_in_sight() -> None:
    matrix = TALL.copy()
    matrix[2, 0] = np.nan
    assert np.isnan(gram_schmidt(matrix)).any()


def test_noise_is_even_and_a_leaf_s_own() -> None:
    one = noise_matrix(7, 2, (3, 4), jnp.float32)
    noise = uniform(key_of(seed_within(7, 2), 0, 0), (3, 4))
    np.testing.assert_array_equal(one, 2 * noise - 1)
    assert (np.asarray(one) != noise_matrix(7, 3, (3, 4), jnp.float32)).all()


def test_products_are_in_full_precision() -> None:
    np.testing.assert_allclose(product(TALL.T, TALL), TALL.T @ TALL, rtol=1e-5)
