"""The backward in two halves: the second has the products of weights alone."""

import jax
import jax.numpy as jnp
import numpy as np

from diamond.compiler.parallelism.backward import halves_of
from diamond.compiler.parallelism.spread import WHOLE
from tests.pipelines import TERMS, piped, piped_task

SHAPE = (2, 8, 8)


def _block():
    task = piped_task(piped(TERMS["zero_bubble"], 2, precision="fp32"))
    params = task.init(jax.random.key(0))
    return task.stack(WHOLE).block, jax.tree.map(lambda leaf: leaf[0], params["blocks"])


def _products(jaxpr) -> int:
    """Counts matrix products, also those of functions that are called."""
    total = 0
    for equation in jaxpr.eqns:
        total += equation.primitive.name == "dot_general"
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", value)
            total += _products(inner) if hasattr(inner, "eqns") else 0
    return total


def _draw(number: int) -> jax.Array:
    return jax.random.normal(jax.random.key(number), SHAPE)


def test_both_halves_are_the_gradient() -> None:
    block, params = _block()
    halves = halves_of(block, params, _draw(0))
    y, finish = halves.run(params, _draw(0))
    by_x, kept = finish(_draw(1))
    expected, pull = jax.vjp(block, params, _draw(0))
    by_params, by_input = pull(_draw(1))
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_x, by_input, rtol=1e-5, atol=1e-6)
    found = halves.weights(params, kept)
    assert jax.tree.structure(found) == jax.tree.structure(by_params)
    for mine, its in zip(*map(jax.tree.leaves, (found, by_params)), strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-5)


def test_the_second_half_is_one_product_a_linear_map() -> None:
    block, params = _block()
    halves = halves_of(block, params, _draw(0))

    def first(params, x, back):
        y, finish = halves.run(params, x)
        return y, finish(back)

    before = jax.make_jaxpr(first)(params, _draw(0), _draw(1)).jaxpr
    after = jax.make_jaxpr(halves.weights)(params, halves.kept).jaxpr
    # Four maps and two products of attention; attention has no weights.
    assert (_products(before), _products(after)) == (4 + 2 + 4 + 4, 4)


def test_weights_are_not_kept() -> None:
    halves = halves_of(lambda w, x: x + w * w, jnp.ones(3), jnp.ones(3))
    _, finish = halves.run(jnp.full(3, 2.0), jnp.ones(3))
    back, kept = finish(jnp.full(3, 5.0))
    assert [each.tolist() for each in kept] == [[5.0] * 3]
    assert back.tolist() == [5.0] * 3
    assert halves.weights(jnp.full(3, 2.0), kept).tolist() == [20.0] * 3
