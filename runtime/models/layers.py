"""Layers of the built-in models; each parameter says what its dims mean.

A parameter's metadata `dims` holds one logical name a dim, such as `("embed", "mlp")`.
(Not flax's `sharding_names`: flax places such a parameter on a mesh as soon as it is
made, and refuses to make it where there is none.)

Weights are made as zeros that know their standard deviation (`std` in the metadata);
`randomize` then draws those of a whole module at once, in fp32. One draw compiles
several times as fast as one a weight.
"""

import math
from collections.abc import Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
from flax import nnx

from diamond.compiler.parallelism.precision import product, widened
from diamond.compiler.parallelism.spread import WHOLE, Spread

Dims = tuple[str, ...]
M = TypeVar("M", bound=nnx.Module)
# Outputs start near zero, so that the loss starts near ln(classes).
HEAD_STD = 0.1


def weight(shape: Sequence[int], std: float, dims: Dims) -> nnx.Param[jax.Array]:
    """Returns a parameter that `randomize` draws from a normal law of mean zero."""
    return nnx.Param(jnp.zeros(tuple(shape), jnp.float32), dims=dims, std=std)


def constant(shape: Sequence[int], value: float, dims: Dims) -> nnx.Param[jax.Array]:
    """Returns a parameter that starts with equal values."""
    return nnx.Param(jnp.full(tuple(shape), value, jnp.float32), dims=dims)


def randomize(module: M, rngs: nnx.Rngs) -> M:
    """Draws the weights of a module, in the order of their paths, and returns it.

    Example:
        >>> dense = Dense((3,), (2,), ("embed", "mlp"), std=1.0)
        >>> bool((randomize(dense, nnx.Rngs(0)).kernel[...] != 0).all())
        True
    """
    state = nnx.state(module, nnx.Param)
    leaves = [leaf for _, leaf in nnx.to_flat_state(state)]
    weights = [leaf for leaf in leaves if "std" in leaf.get_metadata()]
    total = sum(leaf.get_value().size for leaf in weights)
    draw = jax.random.normal(rngs.params(), (total,), jnp.float32)
    start = 0
    for leaf in weights:
        shape = leaf.get_value().shape
        stop = start + math.prod(shape)
        leaf.set_value(leaf.get_metadata("std") * draw[start:stop].reshape(shape))
        start = stop
    nnx.update(module, state)
    return module


class Dense(nnx.Module):
    """A linear map of the last dim, or of the last few, of its input.

    The input is flattened to two dims around the product: XLA's CPU backend
    contracts the weight gradient of a three-dim input at less than half the speed.

    A model that is cut up over a tensor axis has some columns of the kernel here if one
    of the outputs' dims is cut, and some rows, whose products are then summed, if one
    of the inputs' is; so does the first layer over the columns of the data. Where it is
    `wide`, its outputs are fp32 at least.
    """

    def __init__(
        self,
        inputs: Sequence[int],
        outputs: Sequence[int],
        dims: Dims,
        *,
        std: float,
        bias: bool = True,
        wide: bool = False,
        spread: Spread = WHOLE,
    ) -> None:
        self.wide = wide
        shape = (*inputs, *outputs)
        here = [spread.cut(*pair) for pair in zip(dims, shape, strict=True)]
        num = len(inputs)
        self.inputs, self.outputs = tuple(here[:num]), tuple(here[num:])
        self.kernel = weight(here, std, dims)
        self.bias = constant(self.outputs, 0.0, dims[num:]) if bias else None
        self.by_columns = spread.tensor if self.outputs != tuple(outputs) else None
        self.by_rows = spread.rows(dims[:num]) if self.inputs != tuple(inputs) else None

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[..., *inputs]` to `[..., *outputs]`."""
        if self.by_columns is not None:
            x = self.by_columns.enter(x)
        lead = x.shape[: x.ndim - len(self.inputs)]
        size = math.prod(self.inputs)
        flat, kernel = x.reshape(-1, size), self.kernel[...].reshape(size, -1)
        y = product("ij,jk->ik", flat, kernel) if self.wide else flat @ kernel
        if self.by_rows is not None:
            y = self.by_rows.leave(y)
        if self.bias is not None:
            y = plus(y, self.bias[...].reshape(-1))
        return y.reshape(*lead, *self.outputs)


def plus(x: jax.Array, y: jax.Array) -> jax.Array:
    """Adds what is broadcast, whose gradients are then added up in fp32 at least."""
    return (widened(x) + widened(y)).astype(x.dtype)


class RmsNorm(nnx.Module):
    """x / sqrt(mean(x^2) + eps) * scale, over the last dim (arXiv 1910.07467)."""

    def __init__(self, width: int, *, eps: float = 1e-6) -> None:
        self.eps = eps
        self.scale = constant((width,), 1.0, ("embed",))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalizes `[..., width]`."""
        wide = widened(x)
        square = jnp.mean(wide * wide, axis=-1, keepdims=True)
        normal = wide * jax.lax.rsqrt(square + self.eps)
        return (normal * widened(self.scale[...])).astype(x.dtype)


class LayerNorm(nnx.Module):
    """(x - mean(x)) / sqrt(var(x) + eps) * scale + bias, over the last dim."""

    def __init__(self, width: int, *, eps: float = 1e-6) -> None:
        self.eps = eps
        self.scale = constant((width,), 1.0, ("embed",))
        self.bias = constant((width,), 0.0, ("embed",))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalizes `[..., width]`."""
        wide = widened(x)
        centred = wide - jnp.mean(wide, axis=-1, keepdims=True)
        square = jnp.mean(centred * centred, axis=-1, keepdims=True)
        normal = centred * jax.lax.rsqrt(square + self.eps)
        scaled = normal * widened(self.scale[...]) + widened(self.bias[...])
        return scaled.astype(x.dtype)


NORMS = {"rmsnorm": RmsNorm, "layernorm": LayerNorm}
