"""A model of your own, cut up over devices that hold one copy between them.

`tensor` knows the layers of the language's own models. Of yours it needs to know what
the dims of parameters mean: rules `shard` say so, or the module itself, as flax's
modules do. XLA's partitioner then cuts the layers, and the two sites that hold a copy
each exchange their cuts in 8-bit integers, as they would exchange whole parameters.

Run it with `python examples/own_tensor.py`.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

import diamond

STEPS, BATCH = 200, 64


class Plain(nnx.Module):
    """A small perceptron; nothing in it says what a dim means."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.up = nnx.Linear(2, 32, rngs=rngs)
        self.down = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, 2]` to `[examples, 1]`."""
        return self.down(jnp.tanh(self.up(x)))


class Named(Plain):
    """The same, with names where parameters are made."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        init, named = nnx.initializers.lecun_normal(), nnx.with_partitioning
        zeros = nnx.initializers.zeros_init()
        self.up = nnx.Linear(
            2,
            32,
            kernel_init=named(init, (None, "mlp")),
            bias_init=named(zeros, ("mlp",)),
            rngs=rngs,
        )
        self.down = nnx.Linear(32, 1, kernel_init=named(init, ("mlp", None)), rngs=rngs)


RULES = (
    diamond.Shard("up/kernel", ("_", "mlp")),
    diamond.Shard("up/bias", ("mlp",)),
    diamond.Shard("down/kernel", ("mlp", "_")),
)


def loss(model: Plain, batch: dict[str, jax.Array]) -> jax.Array:
    """Returns the mean squared error of a batch."""
    return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)


def batch_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step: points, and the product of their coordinates."""
    x = np.random.default_rng(step).uniform(-1, 1, (BATCH, 2)).astype(np.float32)
    return {"x": x, "y": x[:, :1] * x[:, 1:]}


def compiled(
    model: Callable[[nnx.Rngs], nnx.Module], rules: tuple[diamond.Shard, ...]
) -> diamond.Program:
    """Compiles a model for two sites of four chips."""
    scheme = diamond.Scheme(
        "own",
        train=diamond.Train(steps=STEPS),
        mesh=(diamond.Axis("site", 2), diamond.Axis("chip", 4)),
        parallelism=(diamond.Parallel(diamond.Tensor(), "chip"),),
        replicas=(
            diamond.Replicas(
                "site",
                consistency=diamond.Local(every=10),
                compression=diamond.Int8(),
            ),
        ),
        shards=rules,
    )
    return diamond.compile(
        scheme, model=model, loss=loss, optimizer=optax.adam(1e-2), batch=batch_at(0)
    )


def trained(program: diamond.Program) -> float:
    """Trains, and returns the loss of the last batch."""
    state = program.init(jax.random.key(0))
    for step in range(STEPS):
        state, _ = program.step(state, batch_at(step))
    return program.evaluate(state, batch_at(STEPS))["loss"]


def main() -> dict[str, float]:
    """Trains by rules and by names, and returns both losses."""
    program = compiled(Plain, RULES)
    print(program.explain())
    print(program.certify())
    losses = {
        "by_rules": trained(program),
        "by_names": trained(compiled(Named, ())),
    }
    for name, value in losses.items():
        print(f"{name}: loss {value:.5f}")
    return losses


if __name__ == "__main__":
    main()
