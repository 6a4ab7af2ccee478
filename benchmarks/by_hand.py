"""Models and steps, written by hand in plain JAX, and data parallelism.

The parameters are the tree that Diamond's model has, so that both start from the same
weights; nothing else is shared. Two ways to write a step over many devices are in use:
`jit` over sharded arrays, which leaves collectives to the partitioner, and `shard_map`,
where they are written out. Both are here, for copies of the model that average their
gradients; the files beside this one cut a copy up.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

Tree = Any
Model = Callable[[Tree, jax.Array], jax.Array]
Loss = Callable[[Tree, dict[str, jax.Array]], jax.Array]
Gradient = Callable[[Tree, Tree], tuple[jax.Array, Tree]]


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
    qkv = jnp.einsum("nd,dihk->nihk", x.reshape(n * t, d), p["qkv"]["kernel"])
    qkv = qkv.reshape(n, t, *qkv.shape[1:])
    q, k, v = rope(qkv[:, :, 0]), rope(qkv[:, :, 1]), qkv[:, :, 2]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q / np.sqrt(q.shape[-1]), k)
    scores = jnp.where(np.tril(np.ones((t, t), bool)), scores, -jnp.inf)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", jax.nn.softmax(scores), v)
    out = p["out"]["kernel"]
    return (mixed.reshape(n * t, -1) @ out.reshape(-1, d)).reshape(n, t, d)


def swiglu(p: Tree, x: jax.Array) -> jax.Array:
    """(silu(x G) * (x U)) D."""
    n, t, d = x.shape
    up = jnp.einsum("nd,dgm->ngm", x.reshape(n * t, d), p["up"]["kernel"])
    return ((jax.nn.silu(up[:, 0]) * up[:, 1]) @ p["down"]["kernel"]).reshape(n, t, d)


def transformer(p: Tree, tokens: jax.Array) -> jax.Array:
    """Pre-normalized blocks of attention and SwiGLU between embedding and head."""
    x = p["embed"][tokens]
    for block in p["blocks"].values():
        x = x + attention(block["attention"], rms_norm(block["attention_norm"], x))
        x = x + swiglu(block["mlp"], rms_norm(block["mlp_norm"], x))
    n, t, d = x.shape
    logits = rms_norm(p["norm"], x).reshape(n * t, d) @ p["head"]["kernel"]
    return logits.reshape(n, t, -1)


def cross_entropy(logits: jax.Array, targets: jax.Array) -> jax.Array:
    """Mean cross entropy of integer targets."""
    values = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return values.mean()


def loss_of(model: Model) -> Loss:
    """Mean cross entropy of a model's logits."""
    return lambda params, batch: cross_entropy(model(params, batch["x"]), batch["y"])


class Layout(NamedTuple):
    """Where everything lies: partition specs.

    Attributes:
        mesh: The devices.
        params: A tree like the parameters.
        state: A tree like the optimizer's state.
        batch: Of each array of a batch.
    """

    mesh: Mesh
    params: Tree
    state: Tree
    batch: PartitionSpec

    def shardings(self, specs: Tree) -> Tree:
        """Returns specs as shardings of the mesh."""
        return jax.tree.map(
            lambda spec: NamedSharding(self.mesh, spec),
            specs,
            is_leaf=lambda node: isinstance(node, PartitionSpec),
        )


class Hand(NamedTuple):
    """A step by hand.

    Attributes:
        layout: Where its arrays lie.
        step: (parameters, optimizer's state, batch) -> the next two, and losses.
    """

    layout: Layout
    step: Callable[[Tree, Tree, Tree], Any]


def layout_of(
    mesh: Mesh,
    optimizer: optax.GradientTransformation,
    params: Tree,
    spec: Callable[[str, jax.ShapeDtypeStruct], PartitionSpec],
    batch: PartitionSpec,
) -> Layout:
    """Lays parameters out by name and shape, and the optimizer's state like them."""
    specs = jax.tree_util.tree_map_with_path(
        lambda path, leaf: spec(jax.tree_util.keystr(path), leaf), params
    )
    state = optax.tree_map_params(
        optimizer,
        lambda _, spec: spec,
        jax.eval_shape(optimizer.init, params),
        specs,
        transform_non_params=lambda _: PartitionSpec(),
    )
    return Layout(mesh, specs, state, batch)


def stepping(gradient: Gradient, optimizer: optax.GradientTransformation) -> Any:
    """Returns a step: gradient, then update."""

    def step(params: Tree, state: Tree, batch: Tree) -> Any:
        value, gradients = gradient(params, batch)
        updates, state = optimizer.update(gradients, state, params)
        return optax.apply_updates(params, updates), state, value

    return step


def jitted(loss: Loss, optimizer: optax.GradientTransformation, layout: Layout) -> Hand:
    """The step as `jit` over sharded arrays."""
    whole, gradient = PartitionSpec(), jax.value_and_grad(loss)
    given = layout.shardings((layout.params, layout.state, layout.batch))
    made = layout.shardings((layout.params, layout.state, whole))
    step = jax.jit(
        stepping(gradient, optimizer),
        donate_argnums=(0, 1),
        in_shardings=given,
        out_shardings=made,
    )
    return Hand(layout, step)


def mapped(
    gradient: Gradient,
    optimizer: optax.GradientTransformation,
    layout: Layout,
    losses: PartitionSpec,
    *,
    check_vma: bool = False,
) -> Hand:
    """The step as `shard_map`.

    Args:
        gradient: (parameters, batch) of one device -> (losses, gradients).
        optimizer: The optimizer.
        layout: Where everything lies.
        losses: Where losses lie.
        check_vma: Whether JAX keeps track of which values are equal on all devices,
            and sums gradients where that is needed.
    """
    body = jax.shard_map(
        stepping(gradient, optimizer),
        mesh=layout.mesh,
        in_specs=(layout.params, layout.state, layout.batch),
        out_specs=(layout.params, layout.state, losses),
        check_vma=check_vma,
    )
    return Hand(layout, jax.jit(body, donate_argnums=(0, 1)))


def copies_jitted(
    model: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """Data parallelism by the partitioner."""
    return jitted(loss_of(model), optimizer, _copies(optimizer, mesh, params))


def copies_mapped(
    model: Model, optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Hand:
    """Data parallelism with a `pmean` of the gradients."""

    def gradient(params: Tree, batch: Tree) -> tuple[jax.Array, Tree]:
        value, gradients = jax.value_and_grad(loss_of(model))(params, batch)
        return value[None], jax.lax.pmean(gradients, mesh.axis_names)

    shares = PartitionSpec(mesh.axis_names)
    return mapped(gradient, optimizer, _copies(optimizer, mesh, params), shares)


def _copies(
    optimizer: optax.GradientTransformation, mesh: Mesh, params: Tree
) -> Layout:
    shares, whole = PartitionSpec(mesh.axis_names), PartitionSpec()
    return layout_of(mesh, optimizer, params, lambda name, leaf: whole, shares)
