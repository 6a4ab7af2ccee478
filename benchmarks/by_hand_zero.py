"""Parameters in shards (ZeRO stage 3), by hand in plain JAX.

Of each parameter the largest dim that divides is cut. The partitioner is told that and
no more; under `shard_map` the shards are gathered, before use and again for the
gradient, and the transpose of gathering scatters the gradients.
"""

from typing import Any

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

from benchmarks.by_hand import (
    Hand,
    Layout,
    Model,
    Tree,
    jitted,
    layout_of,
    loss_of,
    mapped,
)


def shards_jitted(
    model: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """By the partitioner."""
    return jitted(loss_of(model), optimizer, _shards(optimizer, mesh, params))


def shards_mapped(
    model: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """With an `all_gather` a parameter, whose transpose is a `psum_scatter`."""
    layout, [axis] = _shards(optimizer, mesh, params), mesh.axis_names
    loss = loss_of(model)

    def gathered(shard: jax.Array, spec: PartitionSpec) -> jax.Array:
        return jax.lax.all_gather(shard, axis, axis=spec.index(axis), tiled=True)

    def part(shards: Tree, batch: Tree) -> jax.Array:
        params = jax.tree.map(gathered, shards, layout.params)
        return loss(params, batch) / mesh.size

    def gradient(shards: Tree, batch: Tree) -> tuple[jax.Array, Tree]:
        forgetful = jax.checkpoint(part, policy=_is_kept)
        value, gradients = jax.value_and_grad(forgetful)(shards, batch)
        return value[None] * mesh.size, gradients

    return mapped(gradient, optimizer, layout, PartitionSpec(axis))


def _is_kept(primitive: Any, *_: Any, **__: Any) -> bool:
    """Keeps activations, and neither gathered parameters nor other shapes of them."""
    return primitive.name not in ("all_gather", "reshape")


def _shards(
    optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Layout:
    [axis] = mesh.axis_names

    def spec(_: str, leaf: jax.ShapeDtypeStruct) -> PartitionSpec:
        dividing = [d for d, size in enumerate(leaf.shape) if size % mesh.size == 0]
        largest = max(dividing, key=lambda dim: leaf.shape[dim])
        return PartitionSpec(*[None] * largest, axis)

    return layout_of(mesh, optimizer, params, spec, PartitionSpec(axis))
