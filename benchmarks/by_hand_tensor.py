"""A transformer in parts (tensor parallelism), by hand in plain JAX.

Columns, then rows, as in Megatron-LM: heads, hidden units and tokens of the vocabulary
are cut. The partitioner is given that; under `shard_map` the sums are written out, and
JAX keeps track of which values are equal on all devices, so that it sums gradients in
the right places.
"""

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, PartitionSpec

from benchmarks.by_hand import (
    Hand,
    Layout,
    Model,
    Tree,
    attention,
    jitted,
    layout_of,
    loss_of,
    mapped,
    rms_norm,
    swiglu,
)

AXIS = "chip"
SPECS = {
    "['embed']": PartitionSpec(AXIS),
    "['qkv']['kernel']": PartitionSpec(None, None, AXIS),
    "['out']['kernel']": PartitionSpec(AXIS),
    "['up']['kernel']": PartitionSpec(None, None, AXIS),
    "['down']['kernel']": PartitionSpec(AXIS),
    "['head']['kernel']": PartitionSpec(None, AXIS),
}


def parts_jitted(
    model: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """By the partitioner."""
    return jitted(loss_of(model), optimizer, _parts(optimizer, mesh, params))


def parts_mapped(
    _: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """With a `psum` after each pair of layers."""
    layout = _parts(optimizer, mesh, params)
    return mapped(
        jax.value_and_grad(_loss), optimizer, layout, PartitionSpec(), check_vma=True
    )


def _loss(p: Tree, batch: Tree) -> jax.Array:
    """The mean cross entropy, of one device's part of the parameters."""
    logits = _logits(p, batch["x"])
    peak = jax.lax.pmax(jax.lax.stop_gradient(logits.max(-1)), AXIS)
    total = jax.lax.psum(jnp.exp(logits - peak[..., None]).sum(-1), AXIS)
    places, is_here = _here(batch["y"], logits.shape[-1])
    picked = jnp.take_along_axis(logits, places[..., None], -1)[..., 0]
    picked = jax.lax.psum(jnp.where(is_here, picked, 0), AXIS)
    return (jnp.log(total) + peak - picked).mean()


def _logits(p: Tree, tokens: jax.Array) -> jax.Array:
    """Logits of this device's part of the vocabulary."""
    places, is_here = _here(tokens, len(p["embed"]))
    x = jnp.where(is_here[..., None], p["embed"][places], 0)
    x = jax.lax.psum(x, AXIS)
    for block in p["blocks"].values():
        mixed = attention(block["attention"], rms_norm(block["attention_norm"], x))
        x = x + jax.lax.psum(mixed, AXIS)
        made = swiglu(block["mlp"], rms_norm(block["mlp_norm"], x))
        x = x + jax.lax.psum(made, AXIS)
    n, t, d = x.shape
    logits = rms_norm(p["norm"], x).reshape(n * t, d) @ p["head"]["kernel"]
    return logits.reshape(n, t, -1)


def _here(tokens: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """Returns where tokens stand in this device's part, and whether they do."""
    places = tokens - jax.lax.axis_index(AXIS) * size
    is_here = (places >= 0) & (places < size)
    return jnp.where(is_here, places, 0), is_here


def _parts(optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree) -> Layout:
    def spec(name: str, _: jax.ShapeDtypeStruct) -> PartitionSpec:
        found = (SPECS[end] for end in SPECS if name.endswith(end))
        return next(found, PartitionSpec())

    return layout_of(mesh, optimizer, params, spec, PartitionSpec())
