"""QSGD: what the rounding is on average, and how far it strays."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.compression.qsgd import qsgd
from diamond.compiler.exchange.noise import key_of

SIZE = 32
DRAWS = 2000
VECTOR = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
each_width = pytest.mark.parametrize("bits", [2, 4, 8])


def _drawn(bits, vector=VECTOR):
    """The same vector, encoded with many keys."""
    codec = qsgd(bits=bits, bucket=SIZE)

    def through(key):
        return codec.decode(codec.encode(jnp.asarray(vector), key), jnp.float32)

    keys = jax.vmap(lambda count: key_of(1, count, 0))(jnp.arange(DRAWS))
    return np.asarray(jax.vmap(through)(keys), np.float64)


@each_width
def test_the_mean_over_keys_is_the_vector(bits) -> None:
    drawn = _drawn(bits)
    spread = drawn.std(0) / np.sqrt(DRAWS) + 1e-6
    assert (np.abs(drawn.mean(0) - VECTOR) < 5 * spread).all()


@each_width
def test_the_variance_is_within_its_bound(bits) -> None:
    top = 2 ** (bits - 1) - 1
    error = ((_drawn(bits) - VECTOR) ** 2).sum(1).mean()
    square = (VECTOR.astype(np.float64) ** 2).sum()
    assert error < min(SIZE / top**2, np.sqrt(SIZE) / top) * square
    ratios = np.abs(VECTOR.astype(np.float64)) / np.sqrt(square) * top
    share = ratios % 1
    exact = (share * (1 - share)).sum() * square / top**2
    assert error == pytest.approx(exact, rel=0.1)


@each_width
def test_levels_are_whole_and_few(bits) -> None:
    top = 2 ** (bits - 1) - 1
    levels = _drawn(bits) / np.sqrt((VECTOR.astype(np.float64) ** 2).sum()) * top
    assert np.abs(levels - np.rint(levels)).max() < 1e-4
    assert np.abs(levels).max() < top + 1e-4


@each_width
def test_a_lone_value_is_kept_whatever_is_drawn(bits) -> None:
    lone = np.zeros(SIZE, np.float32)
    lone[5] = -3.0
    np.testing.assert_allclose(_drawn(bits, lone), np.tile(lone, (DRAWS, 1)), rtol=1e-6)


def test_the_key_decides() -> None:
    drawn = _drawn(8)
    assert np.array_equal(drawn, _drawn(8))
    assert len(np.unique(drawn, axis=0)) > 0.99 * DRAWS
