"""Your own model, loss and loop: Diamond does the exchange.

Two ways to use Diamond from Python, on the same task:

1. `diamond.compile` turns a scheme and your nnx module into a program;
2. `diamond.exchange` gives the exchange alone, as optax transformations, for a
   `shard_map` loop that you wrote.

Run it with `python examples/embed.py`.
"""

import os

os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import AxisType, PartitionSpec

import diamond

STEPS, BATCH = 200, 64


class Regressor(nnx.Module):
    """A small perceptron: two inputs, one output."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.hidden = nnx.Linear(2, 32, rngs=rngs)
        self.out = nnx.Linear(32, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, 2]` to `[examples, 1]`."""
        return self.out(jnp.tanh(self.hidden(x)))


def loss(model: Regressor, batch: dict[str, jax.Array]) -> jax.Array:
    """Returns the mean squared error of a batch."""
    return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)


def batch_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step: points, and the product of their coordinates."""
    x = np.random.default_rng(step).uniform(-1, 1, (BATCH, 2)).astype(np.float32)
    return {"x": x, "y": x[:, :1] * x[:, 1:]}


def compiled() -> float:
    """Trains by `diamond.compile`: two sites meet every 10 steps, in 8-bit integers."""
    scheme = diamond.Scheme(
        "product",
        train=diamond.Train(steps=STEPS),
        mesh=(diamond.Axis("site", 2), diamond.Axis("chip", 4)),
        replicas=(
            diamond.Replicas(
                "site",
                consistency=diamond.Local(every=10),
                compression=diamond.Int8(block=64),
            ),
            diamond.Replicas("chip"),
        ),
    )
    program = diamond.compile(
        scheme,
        model=lambda rngs: Regressor(rngs),
        loss=loss,
        optimizer=optax.adam(1e-2),
        batch=batch_at(0),
    )
    print(program.explain(), "\n")
    print(program.certify(), "\n")
    state = program.init(jax.random.key(0))
    for step in range(STEPS):
        state, _ = program.step(state, batch_at(step))
    return program.evaluate(state, batch_at(STEPS))["loss"]


def by_hand() -> float:
    """Trains by a loop of one's own, with the same exchanges as optax pieces."""
    mesh = jax.make_mesh((2, 4), ("site", "chip"), axis_types=(AxisType.Auto,) * 2)
    graph, start = nnx.split(Regressor(nnx.Rngs(0)))
    adam = optax.adam(1e-2)
    inside = diamond.exchange.synchronous("chip")
    outside = diamond.exchange.local(
        "site", every=10, compression=diamond.Int8(block=64)
    )

    def train(batches: dict[str, jax.Array]) -> jax.Array:
        """Runs on each device with its own share of every batch."""

        def step(carry, batch):
            params, inner, optimizer, outer = carry
            gradients = jax.grad(lambda p: loss(nnx.merge(graph, p), batch))(params)
            gradients, inner = inside.update(gradients, inner)
            updates, optimizer = adam.update(gradients, optimizer, params)
            params = optax.apply_updates(params, updates)
            params, outer = outside.update(params, outer)
            return (params, inner, optimizer, outer), None

        states = inside.init(start), adam.init(start), outside.init(start)
        (params, *_), _ = jax.lax.scan(step, (start, *states), batches)
        return jax.tree.map(lambda leaf: leaf[None], params)

    spec = PartitionSpec(None, ("site", "chip"))
    copies = PartitionSpec("site")
    run = jax.shard_map(
        train, mesh=mesh, in_specs=spec, out_specs=copies, check_vma=False
    )
    batches = jax.tree.map(lambda *rows: np.stack(rows), *map(batch_at, range(STEPS)))
    params = jax.tree.map(lambda leaf: leaf.mean(0), jax.jit(run)(batches))
    return float(loss(nnx.merge(graph, params), batch_at(STEPS)))


def main() -> dict[str, float]:
    """Trains both ways and returns the held-out losses."""
    losses = {"compiled": compiled(), "by_hand": by_hand()}
    print(losses)
    return losses


if __name__ == "__main__":
    main()
