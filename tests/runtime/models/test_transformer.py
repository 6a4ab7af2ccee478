"""Attention, rotary positions and causality against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.dsl.vocabulary.training import Transformer
from diamond.runtime.models import functional, module_factory
from diamond.runtime.models.transformer import attend, rotate

SHAPE = (2, 6, 3, 4)


def draw(seed: int) -> jax.Array:
    return jax.random.normal(jax.random.key(seed), SHAPE)


def test_attention_is_the_causal_softmax() -> None:
    q, k, v = (np.asarray(draw(seed), np.float64) for seed in range(3))
    expected = np.zeros(SHAPE)
    for example, place, head in np.ndindex(*SHAPE[:3]):
        seen = slice(0, place + 1)
        scores = k[example, seen, head] @ q[example, place, head] / np.sqrt(SHAPE[3])
        weights = np.exp(scores) / np.exp(scores).sum()
        expected[example, place, head] = weights @ v[example, seen, head]
    got = attend(*(jnp.asarray(x, jnp.float32) for x in (q, k, v)))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_attention_bears_large_scores() -> None:
    out = attend(1e4 * draw(0), 1e4 * draw(1), draw(2))
    gradient = jax.grad(lambda q: jnp.sum(attend(q, 1e4 * draw(1), draw(2))))(draw(0))
    assert jnp.isfinite(out).all()
    assert jnp.isfinite(gradient).all()


def test_rotation_keeps_lengths_and_depends_on_distance_only() -> None:
    one = jnp.broadcast_to(draw(0)[:, :1], SHAPE)
    other = jnp.broadcast_to(draw(1)[:, :1], SHAPE)
    a, b = rotate(one), rotate(other)
    np.testing.assert_allclose(
        jnp.linalg.norm(a, axis=-1), jnp.linalg.norm(one, axis=-1), rtol=1e-5
    )
    products = jnp.einsum("bqhd,bkhd->bhqk", a, b)
    np.testing.assert_allclose(products[..., 1, 0], products[..., 5, 4], atol=1e-4)
    assert float(jnp.abs(products[..., 0, 0] - products[..., 5, 0]).max()) > 0.1


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_no_token_sees_a_later_one(positions: str) -> None:
    term = Transformer(layers=2, width=16, heads=2, context=8, positions=positions)
    f = functional(module_factory(term, (8,), 10, tokens=True))
    params = f.init(jax.random.key(0))
    tokens = jax.random.randint(jax.random.key(1), (1, 8), 0, 10)
    changed = tokens.at[0, 5].add(1) % 10
    before, after = f.apply(params, tokens), f.apply(params, changed)
    np.testing.assert_array_equal(before[:, :5], after[:, :5])
    assert (before[:, 5:] != after[:, 5:]).any(-1).all()


@pytest.mark.parametrize("positions", ["rope", "learned"])
def test_the_order_of_tokens_matters(positions: str) -> None:
    term = Transformer(layers=1, width=16, heads=2, context=8, positions=positions)
    f = functional(module_factory(term, (8,), 10, tokens=True))
    params = f.init(jax.random.key(0))
    last = [f.apply(params, jnp.array([row]))[0, -1] for row in ([1, 2, 3], [2, 1, 3])]
    assert float(jnp.abs(last[0] - last[1]).max()) > 1e-4
