"""An nnx module as pure functions: the caller's own modules too."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diamond.runtime.models import functional

KEY = jax.random.key(0)


class Net(nnx.Module):
    """Has a list, a shared parameter and a constant."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.layers = nnx.List([nnx.Linear(3, 3, rngs=rngs) for _ in range(12)])
        self.layers[1].kernel = self.layers[0].kernel
        self.shift = jax.random.normal(rngs.params(), (3,))

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        return x + self.shift


class Holder(nnx.Module):
    """Holds whatever is given to it."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner


def test_parameters_are_plain_dicts_of_arrays() -> None:
    params = functional(Net).init(KEY)
    paths = jax.tree_util.tree_flatten_with_path(params)[0]
    for path, leaf in paths:
        assert all(type(entry) is jax.tree_util.DictKey for entry in path)
        assert all(type(entry.key) is str for entry in path)
        assert isinstance(leaf, jax.Array)
    assert len(paths) == 2 * 12 - 1


def test_a_module_keeps_its_parameters_whatever_the_key() -> None:
    module = Net(nnx.Rngs(7))
    f = functional(module)
    x = jnp.ones((2, 3))
    expected = module(x)
    for seed in (0, 1):
        params = f.init(jax.random.key(seed))
        np.testing.assert_array_equal(f.apply(params, x), expected)


def test_a_module_outlives_the_donation_of_its_parameters() -> None:
    module = nnx.Linear(2, 2, rngs=nnx.Rngs(0))
    params = functional(module).init(KEY)
    jax.jit(lambda tree: jax.tree.map(jnp.zeros_like, tree), donate_argnums=0)(params)
    for leaf in jax.tree.leaves(params):
        leaf.delete()
    assert jnp.isfinite(module(jnp.ones((1, 2)))).all()


class Own(nnx.Module):
    """Takes `rngs` by name only, as flax's own modules do."""

    def __init__(self, width: int = 4, *, rngs: nnx.Rngs) -> None:
        self.layer = nnx.Linear(3, width, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.layer(x)


def test_a_class_may_take_rngs_by_name_only() -> None:
    f = functional(Own)
    params = f.init(KEY)
    expected = Own(rngs=nnx.Rngs(KEY)).layer.kernel
    np.testing.assert_array_equal(params["layer"]["kernel"], expected)
    assert f.apply(params, jnp.ones((2, 3))).shape == (2, 4)

    def made(*, rngs: nnx.Rngs) -> nnx.Module:
        return Own(5, rngs=rngs)

    assert functional(made).init(KEY)["layer"]["kernel"].shape == (3, 5)


def test_a_class_that_needs_more_is_refused_with_what_to_write() -> None:
    message = r"`Linear` needs `in_features`, `out_features`: .*Linear\(\.\.\., rngs"
    with pytest.raises(ValueError, match=message):
        functional(nnx.Linear)


def test_a_function_draws_by_the_key() -> None:
    f = functional(Net)
    first, again = f.init(KEY), jax.jit(f.init)(KEY)
    other = f.init(jax.random.key(1))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    kernel = ("layers", "3", "kernel")
    a, b = (tree[kernel[0]][kernel[1]][kernel[2]] for tree in (first, other))
    assert (a != b).any()


def test_a_function_is_what_it_makes() -> None:
    x = jnp.ones((2, 3))
    f = functional(Net)
    np.testing.assert_allclose(
        f.apply(f.init(KEY), x),
        Net(nnx.Rngs(KEY))(x) - Net(nnx.Rngs(KEY)).shift + Net(nnx.Rngs(0)).shift,
        atol=1e-6,
    )


def test_gradients_reach_shared_parameters_once() -> None:
    f = functional(Net)
    params = f.init(KEY)
    gradient = jax.grad(lambda p: jnp.sum(f.apply(p, jnp.ones((2, 3)))))(params)
    assert jax.tree.structure(gradient) == jax.tree.structure(params)
    assert all(jnp.any(leaf != 0) for leaf in jax.tree.leaves(gradient))


def test_steps_compile_once() -> None:
    f = functional(Net)
    traces = 0

    @jax.jit
    def step(params: Any, x: jax.Array) -> Any:
        nonlocal traces
        traces += 1
        gradient = jax.grad(lambda p: jnp.sum(f.apply(p, x)))(params)
        return jax.tree.map(lambda a, b: a - 0.1 * b, params, gradient)

    params = f.init(KEY)
    for _ in range(3):
        params = step(params, jnp.ones((2, 3)))
    assert traces == 1


def test_names_of_dims_are_found() -> None:
    class Named(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.own = nnx.Param(jnp.ones((2, 3)), dims=("embed", "mlp"))
            with nnx.use_eager_sharding(False):
                init = nnx.with_partitioning(nnx.initializers.ones, ("a", "b"))
                self.flax = nnx.Linear(2, 3, kernel_init=init, rngs=rngs)

    dims = functional(Named).dims
    assert dims["own"] == ("embed", "mlp")
    assert dims["flax"] == {"kernel": ("a", "b"), "bias": ()}


@pytest.mark.parametrize(
    ("inner", "message"),
    [
        (
            lambda rngs: nnx.BatchNorm(3, rngs=rngs),
            r"`inner.mean` .*`BatchStat`.*Layer",
        ),
        (lambda rngs: nnx.Dropout(0.5, rngs=rngs), r"`inner.rngs.count` .*dropout"),
        (lambda rngs: nnx.Variable(jnp.ones(3)), r"`inner` .*`Variable`.*nnx.Param"),
        (lambda rngs: nnx.Param(jnp.arange(3)), r"parameter `inner` .*int32"),
    ],
)
@pytest.mark.parametrize("as_module", [True, False])
def test_what_changes_by_itself_is_refused(
    inner: Any, message: str, as_module: bool
) -> None:
    def make(rngs: nnx.Rngs) -> nnx.Module:
        return Holder(inner(rngs))

    with pytest.raises(ValueError, match=message):
        functional(make(nnx.Rngs(0)) if as_module else make)
