"""A model of your own in the stages of a pipeline.

`pipeline` takes a module apart that has `embed`, a list `blocks` of equal modules and
`head`. Here each of two sites holds a copy in four stages, a block in each, and sends
its parameters to the other in 8-bit integers every ten steps. Beside it, the same model
is trained without stages: the losses are the same up to rounding.

Run it with `python examples/own_pipeline.py`.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import diamond

STEPS, BATCH, TOKENS = 60, 32, 12
VOCAB, WIDTH, HEADS, BLOCKS = 16, 16, 2, 4


class Block(nnx.Module):
    """Attention and a perceptron, each beside what it gets."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.attend_norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.attend = nnx.MultiHeadAttention(
            HEADS, WIDTH, decode=False, deterministic=True, rngs=rngs
        )
        self.norm = nnx.LayerNorm(WIDTH, rngs=rngs)
        self.up = nnx.Linear(WIDTH, 2 * WIDTH, rngs=rngs)
        self.down = nnx.Linear(2 * WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, WIDTH]` to the same shape."""
        causal = nnx.make_causal_mask(x[..., 0])
        x = x + self.attend(self.attend_norm(x), mask=causal)
        return x + self.down(nnx.gelu(self.up(self.norm(x))))


class Embed(nnx.Module):
    """Vectors of tokens and of their places."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.tokens = nnx.Embed(VOCAB, WIDTH, rngs=rngs)
        self.places = nnx.Embed(TOKENS, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `int[examples, tokens]` to `[examples, tokens, WIDTH]`."""
        return self.tokens(x) + self.places(jnp.arange(x.shape[1]))


class Language(nnx.Module):
    """A small language model."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = Embed(rngs)
        self.blocks = nnx.List([Block(rngs) for _ in range(BLOCKS)])
        self.head = nnx.Linear(WIDTH, VOCAB, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `int[examples, tokens]` to `[examples, tokens, VOCAB]`."""
        x = self.embed(x)
        for block in self.blocks:
            x = block(x)
        return self.head(x)


def loss(model: Language, batch: dict[str, jax.Array]) -> jax.Array:
    """Returns the mean cross entropy of the tokens that follow."""
    tokens = batch["tokens"]
    logits = model(tokens[:, :-1])
    each = optax.softmax_cross_entropy_with_integer_labels(logits, tokens[:, 1:])
    return each.mean()


def batch_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step: rows that count on by one or by three."""
    draw = np.random.default_rng(step)
    start, by = draw.integers(0, VOCAB, BATCH), draw.choice((1, 3), BATCH)
    rows = start[:, None] + by[:, None] * np.arange(TOKENS)
    return {"tokens": (rows % VOCAB).astype(np.int32)}


def compiled(stages: int) -> diamond.Program:
    """Compiles the model for two sites of some stages."""
    scheme = diamond.Scheme(
        "own",
        train=diamond.Train(steps=STEPS),
        mesh=(diamond.Axis("site", 2), diamond.Axis("stage", stages)),
        parallelism=(
            diamond.Parallel(diamond.Pipeline("one_f_one_b", microbatches=4), "stage"),
        ),
        replicas=(
            diamond.Replicas(
                "site",
                consistency=diamond.Local(every=10),
                compression=diamond.Int8(),
            ),
        ),
    )
    return diamond.compile(
        scheme, model=Language, loss=loss, optimizer=optax.adam(1e-2), batch=batch_at(0)
    )


def trained(program: diamond.Program) -> float:
    """Trains, and returns the loss of the batch after the last."""
    state = program.init(jax.random.key(0))
    for step in range(STEPS):
        state, _ = program.step(state, batch_at(step))
    return program.evaluate(state, batch_at(STEPS))["loss"]


def main() -> dict[str, float]:
    """Trains with stages and without, and returns both losses."""
    program = compiled(stages=4)
    print(program.explain())
    print(program.certify())
    losses = {"in_stages": trained(program), "whole": trained(compiled(stages=1))}
    for name, value in losses.items():
        print(f"{name}: loss {value:.5f}")
    return losses


if __name__ == "__main__":
    main()
