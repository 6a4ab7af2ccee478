"""The layers against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diamond.runtime.models.layers import Dense, LayerNorm, RmsNorm, randomize


def test_dense_is_the_contraction_of_its_dims() -> None:
    dims = ("embed", "heads", "head_dim")
    dense = randomize(Dense((6,), (2, 3), dims, std=1.0), nnx.Rngs(0))
    dense.bias.set_value(jnp.arange(6.0).reshape(2, 3))
    x = jax.random.normal(jax.random.key(1), (4, 5, 6))
    expected = jnp.einsum("bte,ehd->bthd", x, dense.kernel[...]) + dense.bias[...]
    np.testing.assert_allclose(dense(x), expected, atol=1e-5)


def test_dense_joins_several_input_dims() -> None:
    dims = ("heads", "head_dim", "embed")
    dense = randomize(Dense((2, 3), (6,), dims, std=1.0, bias=False), nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(1), (4, 5, 2, 3))
    expected = jnp.einsum("bthd,hde->bte", x, dense.kernel[...])
    np.testing.assert_allclose(dense(x), expected, atol=1e-5)


def test_products_have_two_dims_forward_and_backward() -> None:
    dense = Dense((6,), (2, 3), ("embed", "heads", "head_dim"), std=1.0)

    def total(x: jax.Array) -> jax.Array:
        return jnp.sum(dense(x) ** 2)

    text = jax.jit(jax.grad(total)).lower(jnp.ones((4, 5, 6))).as_text()
    products = [line for line in text.splitlines() if "dot_general" in line]
    shapes = [part for line in products for part in line.split("tensor<")[1:]]
    assert products
    assert all(shape.split(">")[0].count("x") == 2 for shape in shapes)


def test_rms_norm() -> None:
    norm = RmsNorm(8)
    norm.scale.set_value(jnp.arange(8.0))
    x = 3 + jax.random.normal(jax.random.key(0), (5, 8))
    size = np.sqrt(np.mean(np.square(x), axis=-1, keepdims=True))
    np.testing.assert_allclose(norm(x), x / size * np.arange(8.0), rtol=1e-5)


def test_layer_norm() -> None:
    norm = LayerNorm(8)
    norm.bias.set_value(jnp.full(8, 0.5))
    x = 3 + jax.random.normal(jax.random.key(0), (5, 8))
    expected = (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True) + 0.5
    np.testing.assert_allclose(norm(x), expected, atol=1e-4)


def test_weights_have_the_size_they_ask_for() -> None:
    dense = randomize(Dense((300,), (400,), ("a", "b"), std=0.02), nnx.Rngs(3))
    kernel = np.asarray(dense.kernel[...])
    assert kernel.std() == pytest.approx(0.02, rel=0.02)
    assert abs(kernel.mean()) < 2e-4
    assert not dense.bias[...].any()


def test_no_two_weights_are_equal() -> None:
    class Pair(nnx.Module):
        def __init__(self) -> None:
            self.a = Dense((4,), (4,), ("x", "y"), std=1.0, bias=False)
            self.b = Dense((4,), (4,), ("x", "y"), std=1.0, bias=False)

    pair = randomize(Pair(), nnx.Rngs(0))
    assert not np.intersect1d(pair.a.kernel[...], pair.b.kernel[...]).size
