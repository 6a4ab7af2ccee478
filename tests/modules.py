"""Modules as a caller writes them, whose layers know no devices, and their batches."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from diamond.compiler.certify import Certificate
from diamond.compiler.program import Program
from diamond.dsl.vocabulary import (
    Axis,
    Call,
    Parallel,
    Pipeline,
    Replicas,
    Scheme,
    Shard,
    Tensor,
    Train,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests.comparison import LEAST_SCALE

EXAMPLES, TOKENS, VOCAB, WIDTH, HEADS, HIDDEN = 8, 6, 16, 8, 4, 16
RULES = (
    Shard("*up/kernel", ("embed", "mlp")),
    Shard("*up/bias", ("mlp",)),
    Shard("*down/kernel", ("mlp", "embed")),
    Shard("attend/out", ("heads", "_", "embed")),
    Shard("attend/*", ("embed", "heads", "_")),
    Shard("table/*", ("vocab", "embed")),
    Shard("head/*", ("none", "vocab")),
)
STEPS, TOLERANCE = 10, 1e-10
SGD = Call("sgd", (("learning_rate", 0.1), ("momentum", 0.9)))


class Own(NamedTuple):
    """A model of the caller's, with its loss and its data."""

    model: Any
    loss: Any
    batch_at: Any
    rules: tuple[Shard, ...]


class Mlp(nnx.Module):
    """Two layers, with names in the metadata of parameters or without."""

    def __init__(self, rngs: nnx.Rngs, named: bool = False) -> None:
        def init(*names: str | None) -> Any:
            plain = nnx.initializers.normal(0.3)
            return nnx.with_partitioning(plain, names) if named else plain

        self.up = nnx.Linear(
            WIDTH,
            HIDDEN,
            kernel_init=init(None, "mlp"),
            bias_init=init("mlp"),
            rngs=rngs,
        )
        self.down = nnx.Linear(HIDDEN, WIDTH, kernel_init=init("mlp", None), rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[..., WIDTH]` to the same shape."""
        return self.down(jnp.tanh(self.up(x)))


class Attention(nnx.Module):
    """Causal attention of some heads."""

    def __init__(self, rngs: nnx.Rngs, named: bool) -> None:
        def weight(shape: tuple[int, ...], *names: str | None) -> Any:
            value = 0.3 * rngs.params.normal(shape)
            return nnx.Param(value, out_sharding=names) if named else nnx.Param(value)

        shape = (WIDTH, HEADS, WIDTH // HEADS)
        self.query = weight(shape, None, "heads", None)
        self.key = weight(shape, None, "heads")
        self.value = weight(shape, None, "heads", None)
        self.out = weight((HEADS, WIDTH // HEADS, WIDTH), "heads", None, "embed")

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, WIDTH]` to the same shape."""
        q, k, v = (
            jnp.einsum("etw,whd->ethd", x, kernel[...])
            for kernel in (self.query, self.key, self.value)
        )
        scores = jnp.einsum("eqhd,ekhd->ehqk", q, k)
        seen = jnp.tril(jnp.ones((x.shape[1],) * 2, bool))
        weights = jax.nn.softmax(jnp.where(seen, scores, -1e9))
        return jnp.einsum("ehqk,ekhd,hdw->eqw", weights, v, self.out[...])


class Block(nnx.Module):
    """x + attention(x), then x + perceptron(x)."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attend = Attention(rngs, named=False)
        self.mlp = Mlp(rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, WIDTH]` to the same shape."""
        x = x + self.attend(x)
        return x + self.mlp(x)


class Stacked(nnx.Module):
    """Tokens to logits through some blocks, in the parts that a pipeline takes."""

    def __init__(self, rngs: nnx.Rngs, blocks: int = 4) -> None:
        self.embed = nnx.Embed(VOCAB, WIDTH, dtype=jnp.float64, rngs=rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(blocks)])
        self.head = nnx.Linear(WIDTH, VOCAB, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `int[examples, tokens]` to `[examples, tokens, VOCAB]`."""
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Ladder(nnx.Module):
    """Numbers to numbers through some perceptrons, likewise."""

    def __init__(self, rngs: nnx.Rngs, blocks: int = 2) -> None:
        self.embed = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.blocks = nnx.List([Mlp(rngs) for _ in range(blocks)])
        self.head = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, WIDTH]` to the same shape."""
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


class Decoder(nnx.Module):
    """A block of attention and a perceptron, between tokens and logits."""

    def __init__(self, rngs: nnx.Rngs, named: bool = False) -> None:
        def weight(shape: tuple[int, ...], *names: str | None) -> Any:
            value = 0.3 * rngs.params.normal(shape)
            return nnx.Param(value, out_sharding=names) if named else nnx.Param(value)

        self.table = nnx.Dict(w=weight((VOCAB, WIDTH), "vocab", None))
        self.attend = Attention(rngs, named)
        self.mlp = Mlp(rngs, named)
        self.head = nnx.Dict(w=weight((WIDTH, VOCAB), None, "vocab"))

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `int[examples, tokens]` to `[examples, tokens, VOCAB]`."""
        hidden = self.table["w"][...][x]
        hidden = hidden + self.attend(hidden)
        return (hidden + self.mlp(hidden)) @ self.head["w"][...]


def squares(model: nnx.Module, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the mean squared error of a batch."""
    return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)


def next_tokens(model: nnx.Module, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the mean cross entropy of a batch."""
    logits = model(batch["x"])
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch["y"])
    return losses.mean()


def numbers_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step for `Mlp`."""
    draw = np.random.default_rng(step)
    return {name: draw.normal(size=(EXAMPLES, WIDTH)) for name in "xy"}


def tokens_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step for `Decoder`."""
    draw = np.random.default_rng(step)
    rows = draw.integers(0, VOCAB, (EXAMPLES, TOKENS + 1), dtype=np.int32)
    return {"x": rows[:, :-1], "y": rows[:, 1:]}


def staged_scheme(
    term: Pipeline, stages: int, *outer: tuple[str, int, Any], **train: Any
) -> Scheme:
    """Returns a scheme with a pipeline inside other axes, as `own_scheme` does."""
    return _scheme((*outer, ("stage", stages, term)), (), train)


def own_scheme(
    devices: int,
    *outer: tuple[str, int, Any],
    rules: tuple[Shard, ...] = (),
    **train: Any,
) -> Scheme:
    """Returns a scheme with a tensor axis inside other axes.

    Args:
        devices: Devices of the tensor axis.
        outer: Name and size, with a strategy or a dict of what `Replicas` takes.
        rules: What parameters' dims are called.
        train: More of what `Train` takes.
    """
    return _scheme((*outer, ("chip", devices, Tensor())), rules, train)


def _scheme(
    axes: tuple[tuple[str, int, Any], ...],
    rules: tuple[Shard, ...],
    train: dict[str, Any],
) -> Scheme:
    settings = {"optimizer": SGD, "steps": 10, "precision": "fp64", **train}
    return Scheme(
        "own",
        train=Train(**settings),
        mesh=tuple(Axis(name, size) for name, size, _ in axes),
        parallelism=tuple(
            Parallel(s, name) for name, _, s in axes if not isinstance(s, dict)
        ),
        replicas=tuple(Replicas(n, **s) for n, _, s in axes if isinstance(s, dict)),
        shards=rules,
    )


def hold(program: Program, own: Own) -> Certificate:
    """Trains ten steps beside the reference engine, from the same weights."""
    engine = ReferenceEngine(program.scheme, program.task)
    state = program.init(jax.random.key(0))
    members = range(engine.num_members)
    truth = engine.from_members([program.member_params(state, m) for m in members])
    for step in range(STEPS):
        state, metrics = program.step(state, own.batch_at(step))
        truth, expected = engine.step(truth, own.batch_at(step))
        losses = np.reshape(metrics["loss"], (engine.num_members, -1)).mean(axis=1)
        np.testing.assert_allclose(losses, np.ravel(expected["loss"]), rtol=TOLERANCE)
    for member in members:
        mine = jax.tree.leaves(program.member_params(state, member))
        theirs = jax.tree.leaves(engine.member_parameters(truth, member))
        for a, b in zip(mine, theirs, strict=True):
            scale = max(np.abs(b).max(), LEAST_SCALE)
            assert np.abs(a - b).max() <= TOLERANCE * scale
    return program.certify()
