"""The largest and the sum of each block."""

import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.blocks import largest, total

each_size = pytest.mark.parametrize("size", [1, 2, 3, 8, 24, 100, 1024])


def _blocks(size):
    return np.random.default_rng(size).normal(size=(3, size)).astype(np.float32)


@each_size
def test_largest_is_exact(size) -> None:
    blocks = _blocks(size)
    assert np.array_equal(largest(jnp.asarray(blocks)), np.abs(blocks).max(1))


@each_size
def test_total_is_numpy_s(size) -> None:
    blocks = np.abs(_blocks(size))
    exact = blocks.astype(np.float64).sum(1)
    np.testing.assert_allclose(total(jnp.asarray(blocks)), exact, rtol=1e-6)


@each_size
@pytest.mark.parametrize("found", [largest, total])
def test_what_is_not_finite_shows_in_its_block_alone(found, size) -> None:
    blocks = _blocks(size)
    blocks[0, -1], blocks[2, 0] = np.nan, np.inf
    assert np.isfinite(found(jnp.asarray(blocks))).tolist() == [False, True, False]
