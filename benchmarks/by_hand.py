"""The models and the step of `digits` and `text`, written by hand in plain JAX.

The parameters are the tree that Diamond's model has, so that both start from the same
weights; nothing else is shared. Two ways to write a data-parallel step are in use:
`jit` over a sharded batch, which leaves the all-reduce to the partitioner, and
`shard_map` with a `pmean`. Both are here.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Tree = Any
Loss = Callable[[Tree, dict[str, jax.Array]], jax.Array]


def dense(p: Tree, x: jax.Array) -> jax.Array:
    """A linear map of the last dim."""
    y = x @ p["kernel"]
    return y + p["bias"] if "bias" in p else y


def convnet(p: Tree, x: jax.Array) -> jax.Array:
    """Convolutions as products of patches, relu, 2 x 2 pooling, two dense maps."""
    for stage in p["stages"].values():
        n, h, w, c = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        patches = [padded[:, i : i + h, j : j + w] for i in range(3) for j in range(3)]
        flat = jnp.concatenate(patches, -1).reshape(-1, 9 * c)
        x = flat @ stage["kernel"].reshape(9 * c, -1) + stage["bias"]
        x = jax.nn.relu(x).reshape(n, h // 2, 2, w // 2, 2, -1).max((2, 4))
    hidden = jax.nn.relu(dense(p["hidden"], x.reshape(len(x), -1)))
    return dense(p["head"], hidden)


def rms_norm(p: Tree, x: jax.Array) -> jax.Array:
    """Returns x over its root mean square, scaled."""
    return x * jax.lax.rsqrt((x * x).mean(-1, keepdims=True) + 1e-6) * p["scale"]


def rope(x: jax.Array) -> jax.Array:
    """Rotary positions on `[batch, tokens, heads, head_dim]`."""
    tokens, size = x.shape[1], x.shape[3]
    rates = 10_000.0 ** (-np.arange(0, size, 2) / size)
    angle = (np.arange(tokens)[:, None] * rates)[:, None].astype(np.float32)
    a, b = jnp.split(x, 2, -1)
    cos, sin = np.cos(angle), np.sin(angle)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], -1)


def attention(p: Tree, x: jax.Array) -> jax.Array:
    """Causal multi-head attention with rotary positions."""
    n, t, d = x.shape
    qkv = x.reshape(n * t, d) @ p["qkv"]["kernel"].reshape(d, -1)
    qkv = qkv.reshape(n, t, *p["qkv"]["kernel"].shape[1:])
    q, k, v = rope(qkv[:, :, 0]), rope(qkv[:, :, 1]), qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q / np.sqrt(q.shape[-1]), k)
    scores = jnp.where(np.tril(np.ones((t, t), bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    out = p["out"]["kernel"]
    return (mixed.reshape(n * t, -1) @ out.reshape(-1, d)).reshape(n, t, d)


def swiglu(p: Tree, x: jax.Array) -> jax.Array:
    """(silu(x G) * (x U)) D."""
    n, t, d = x.shape
    up = x.reshape(n * t, d) @ p["up"]["kernel"].reshape(d, -1)
    gate, value = jnp.split(up, 2, -1)
    return ((jax.nn.silu(gate) * value) @ p["down"]["kernel"]).reshape(n, t, d)


def transformer(p: Tree, tokens: jax.Array) -> jax.Array:
    """Pre-normalized blocks of attention and SwiGLU between embedding and head."""
    x = p["embed"][tokens]
    for block in p["blocks"].values():
        x = x + attention(block["attention"], rms_norm(block["attention_norm"], x))
        x = x + swiglu(block["mlp"], rms_norm(block["mlp_norm"], x))
    n, t, d = x.shape
    logits = rms_norm(p["norm"], x).reshape(n * t, d) @ p["head"]["kernel"]
    return logits.reshape(n, t, -1)


def loss_of(model: Callable[[Tree, jax.Array], jax.Array]) -> Loss:
    """Mean cross entropy of a model's logits."""

    def loss(params: Tree, batch: dict[str, jax.Array]) -> jax.Array:
        logits = model(params, batch["x"])
        return optax.softmax_cross_entropy_with_integer_labels(
            logits, batch["y"]
        ).mean()

    return loss


def jitted(loss: Loss, optimizer: optax.GradientTransformation, mesh: Mesh) -> Any:
    """The step as `jit` over a sharded batch."""
    everywhere = NamedSharding(mesh, PartitionSpec())
    shares = NamedSharding(mesh, PartitionSpec(mesh.axis_names))

    def step(params: Tree, state: Tree, batch: dict[str, jax.Array]) -> Any:
        value, gradients = jax.value_and_grad(loss)(params, batch)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    placed = (everywhere, everywhere, shares)
    return jax.jit(
        step, donate_argnums=(0, 1), in_shardings=placed, out_shardings=everywhere
    )


def mapped(loss: Loss, optimizer: optax.GradientTransformation, mesh: Mesh) -> Any:
    """The step as `shard_map` with a `pmean` of the gradients."""

    def step(params: Tree, state: Tree, batch: dict[str, jax.Array]) -> Any:
        value, gradients = jax.value_and_grad(loss)(params, batch)
        gradients = jax.lax.pmean(gradients, mesh.axis_names)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value[None]

    whole, shares = PartitionSpec(), PartitionSpec(mesh.axis_names)
    body = jax.shard_map(
        step,
        mesh=mesh,
        in_specs=(whole, whole, shares),
        out_specs=(whole, whole, shares),
        check_vma=False,
    )
    return jax.jit(body, donate_argnums=(0, 1))
