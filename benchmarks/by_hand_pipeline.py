"""A transformer in stages (GPipe), by hand in plain JAX.

A scan over ticks: every stage works at every tick, on what the one before sent at the
tick before, and the gradient of the scan is the way back. A stage is computed again for
its gradient. Stages that have nothing to do compute in vain, which is how a pipeline
is usually written under `jit`.
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
    cross_entropy,
    layout_of,
    mapped,
    rms_norm,
    swiglu,
)

COPIES, STAGES, MICROBATCHES = "host", "stage", 8


def stages_mapped(
    _: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """With a `ppermute` a tick; copies of the pipeline average their gradients."""
    layout, stages = _stages(optimizer, mesh, params), mesh.shape[STAGES]

    def gradient(params: Tree, batch: Tree) -> tuple[jax.Array, Tree]:
        value, gradients = jax.value_and_grad(_loss)(params, batch, stages)
        blocks = gradients.pop("blocks")
        value, ends = jax.lax.psum((value, gradients), STAGES)
        return value[None], jax.lax.pmean({**ends, "blocks": blocks}, COPIES)

    return mapped(gradient, optimizer, layout, PartitionSpec(COPIES))


def _loss(p: Tree, batch: Tree, stages: int) -> jax.Array:
    """The mean cross entropy on the last stage, and zero on the others."""
    tokens = batch["x"]
    parts = tokens.reshape(MICROBATCHES, -1, tokens.shape[1])
    is_first = jax.lax.axis_index(STAGES) == 0
    is_last = jax.lax.axis_index(STAGES) == stages - 1
    onward = [(stage, stage + 1) for stage in range(stages - 1)]

    def tick(arrived: jax.Array, time: jax.Array) -> tuple[jax.Array, jax.Array]:
        entering = p["embed"][parts[jnp.minimum(time, MICROBATCHES - 1)]]
        made = _stage(p["blocks"], jnp.where(is_first, entering, arrived))
        return jax.lax.ppermute(made, STAGES, onward), made

    nothing = jnp.zeros((*parts.shape[1:], p["embed"].shape[1]))
    _, made = jax.lax.scan(tick, nothing, jnp.arange(MICROBATCHES + stages - 1))
    x = made[stages - 1 :].reshape(*tokens.shape, -1)
    return jax.lax.cond(is_last, lambda: _judged(p, x, batch["y"]), lambda: 0.0)


@jax.checkpoint
def _stage(blocks: Tree, x: jax.Array) -> jax.Array:
    """The blocks of one stage, one after another."""
    for place in range(len(jax.tree.leaves(blocks)[0])):
        block = jax.tree.map(lambda leaf, place=place: leaf[place], blocks)
        x = x + attention(block["attention"], rms_norm(block["attention_norm"], x))
        x = x + swiglu(block["mlp"], rms_norm(block["mlp_norm"], x))
    return x


def _judged(p: Tree, x: jax.Array, targets: jax.Array) -> jax.Array:
    n, t, d = x.shape
    logits = rms_norm(p["norm"], x).reshape(n * t, d) @ p["head"]["kernel"]
    return cross_entropy(logits.reshape(n, t, -1), targets)


def _stages(
    optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Layout:
    def spec(name: str, _: jax.ShapeDtypeStruct) -> PartitionSpec:
        return PartitionSpec(STAGES) if "blocks" in name else PartitionSpec()

    return layout_of(mesh, optimizer, params, spec, PartitionSpec(COPIES))
