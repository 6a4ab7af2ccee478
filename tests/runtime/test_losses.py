"""Losses against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.runtime.losses import cross_entropy, mean_squared_error


def test_cross_entropy_is_the_negative_log_softmax() -> None:
    logits = np.random.default_rng(0).normal(size=(5, 4))
    targets = np.array([0, 3, 1, 1, 2])
    exact = np.log(np.exp(logits).sum(1)) - logits[np.arange(5), targets]
    got = cross_entropy(jnp.asarray(logits), jnp.asarray(targets))
    np.testing.assert_allclose(got, exact, rtol=1e-5)


def test_tokens_are_averaged_within_an_example() -> None:
    logits = jax.random.normal(jax.random.key(0), (3, 6, 4))
    targets = jax.random.randint(jax.random.key(1), (3, 6), 0, 4)
    each = cross_entropy(logits.reshape(18, 4), targets.reshape(18))
    expected = each.reshape(3, 6).mean(1)
    np.testing.assert_allclose(cross_entropy(logits, targets), expected, rtol=1e-5)


def test_cross_entropy_bears_large_logits() -> None:
    logits, targets = jnp.array([[1e4, -1e4], [-1e4, 1e4]]), jnp.array([0, 0])
    assert cross_entropy(logits, targets).tolist() == [0.0, 2e4]
    gradient = jax.grad(lambda x: cross_entropy(x, targets).sum())(logits)
    np.testing.assert_allclose(gradient, [[0, 0], [-1, 1]], atol=1e-6)


def test_cross_entropy_of_narrow_logits_is_taken_in_fp32() -> None:
    logits = jax.random.normal(jax.random.key(0), (4, 300)).astype(jnp.bfloat16)
    targets = jnp.arange(4)
    got = cross_entropy(logits, targets)
    assert got.dtype == jnp.float32
    wide = cross_entropy(logits.astype(jnp.float32), targets)
    np.testing.assert_array_equal(got, wide)


def test_the_gradient_needs_no_scatter() -> None:
    def total(logits: jax.Array, targets: jax.Array) -> jax.Array:
        return cross_entropy(logits, targets).sum()

    shapes = jnp.zeros((2, 3, 4)), jnp.zeros((2, 3), jnp.int32)
    assert "scatter" not in jax.jit(jax.grad(total)).lower(*shapes).as_text()


def test_a_target_that_is_no_class_is_not_passed_over() -> None:
    logits = jnp.zeros((4, 3))
    values = cross_entropy(logits, jnp.array([0, 2, 3, -1]))
    assert jnp.isnan(values).tolist() == [False, False, True, True]
    tokens = cross_entropy(jnp.zeros((2, 2, 3)), jnp.array([[0, 1], [2, 7]]))
    assert jnp.isnan(tokens).tolist() == [False, True]


def test_bytes_may_be_targets_among_many_classes() -> None:
    logits = jax.random.normal(jax.random.key(0), (2, 300))
    wide, narrow = (
        cross_entropy(logits, jnp.array([3, 255], kind))
        for kind in (jnp.int32, jnp.uint8)
    )
    np.testing.assert_array_equal(wide, narrow)


@pytest.mark.parametrize("targets", [(5, 1), (4,), ()])
def test_cross_entropy_refuses_shapes_that_would_broadcast(
    targets: tuple[int, ...],
) -> None:
    with pytest.raises(ValueError, match=r"\(5, 3\)"):
        cross_entropy(jnp.zeros((5, 3)), jnp.zeros(targets, jnp.int32))


def test_mean_squared_error() -> None:
    outputs, targets = jnp.array([[1.0, 2.0], [3.0, 5.0]]), jnp.zeros((2, 2))
    assert mean_squared_error(outputs, targets).tolist() == [2.5, 17.0]


def test_mean_squared_error_refuses_to_broadcast() -> None:
    column = mean_squared_error(jnp.ones((3, 1)), jnp.zeros(3))
    assert column.tolist() == [1, 1, 1]
    with pytest.raises(ValueError, match=r"\(3, 2\) and targets \(3,\)"):
        mean_squared_error(jnp.ones((3, 2)), jnp.zeros(3))
