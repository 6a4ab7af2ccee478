"""Matrices: products in full precision, and columns made orthonormal."""

import math

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.noise import key_of, seed_within, uniform


def product(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns `a @ b`, on every backend in the matrices' own type."""
    return jnp.matmul(a, b, precision=jax.lax.Precision.HIGHEST)


def gram_schmidt(matrix: jax.Array) -> jax.Array:
    """Makes the columns of `[n, r]` orthonormal, from the first to the last.

    A column that the earlier ones make up, but for rounding, becomes zeros: it says
    nothing new, and its direction would be noise. What is not finite becomes NaN.

    Example:
        >>> gram_schmidt(jnp.array([[3.0, 3.0, 1.0], [0.0, 0.0, 2.0]]))
        Array([[1., 0., 0.],
               [0., 0., 1.]], dtype=float32)
    """
    limits = math.sqrt(jnp.finfo(matrix.dtype).eps) * _norms(matrix)
    columns = jnp.arange(matrix.shape[1])

    def settle(place: int, columns_so_far: jax.Array) -> jax.Array:
        column = jax.lax.dynamic_slice_in_dim(columns_so_far, place, 1, axis=1)
        norm = _norms(column)
        is_spent = (norm <= limits[place]) & jnp.isfinite(norm)
        unit = jnp.where(is_spent, 0, column * (1 / jnp.where(is_spent, 1, norm)))
        shadows = jnp.sum(unit * columns_so_far, axis=0)
        rest = jnp.where(
            columns > place, columns_so_far - unit * shadows, columns_so_far
        )
        return jnp.where(columns == place, unit, rest)

    settled: jax.Array = jax.lax.fori_loop(0, matrix.shape[1], settle, matrix)
    return settled


def noise_matrix(
    seed: int, leaf: int, shape: tuple[int, int], dtype: jnp.dtype
) -> jax.Array:
    """Returns a matrix to begin with: even noise in [-1, 1), a leaf's own.

    Example:
        >>> noise_matrix(1, 0, (3, 2), jnp.float32).shape
        (3, 2)
    """
    key = key_of(seed_within(seed, leaf), 0, 0)
    return 2 * uniform(key, shape).astype(dtype) - 1


def _norms(matrix: jax.Array) -> jax.Array:
    return jnp.sqrt(jnp.sum(matrix * matrix, axis=0))
