"""Every optimizer of the language in a compiled program, and its state on the disk."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import diamond
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS, Signature
from diamond.runtime.checkpoints import CheckpointStore
from tests.runtime.test_optimizers import examples

# One with moments, one with a random key, and one that takes parameters apart.
FAST = ("adamw", "noisy_sgd", "muon")
ROWS = [
    pytest.param(row, id=row.name, marks=[] if row.name in FAST else pytest.mark.slow)
    for row in OPTIMIZERS
]
BATCH = {"x": np.linspace(-1, 1, 24, dtype=np.float32).reshape(8, 3)}


class Net(nnx.Module):
    def __init__(self, *, rngs: nnx.Rngs) -> None:
        self.first = nnx.Linear(3, 4, rngs=rngs)
        self.second = nnx.Linear(4, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.second(jnp.tanh(self.first(x)))


def loss(model: Net, batch: Any) -> jax.Array:
    return jnp.mean((model(batch["x"]) - 1) ** 2)


def compiled(row: Signature) -> diamond.Program:
    scheme = diamond.Scheme(
        "tiny",
        train=diamond.Train(optimizer=examples(row)[0], steps=20),
        mesh=(diamond.Axis("host", 2),),
        replicas=(diamond.Replicas("host"),),
    )
    devices = jax.devices()[:2]
    return diamond.compile(scheme, Net, loss, devices=devices, batch=BATCH)


@pytest.mark.filterwarnings("ignore:Specifying a key")
@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize("row", ROWS)
def test_a_state_of_every_optimizer_is_kept(row: Signature, tmp_path: Path) -> None:
    program = compiled(row)
    assert program.plan.optimizer_bytes >= 0
    state = program.init(jax.random.key(0))
    for _ in range(2):
        state, _ = program.step(state, BATCH)
    store = CheckpointStore(tmp_path)
    store.save(2, state, {})
    restored = store.restore(2, program.abstract_state)
    ends = [program.step(each, BATCH)[0] for each in (state, restored)]
    assert jax.tree.structure(ends[0]) == jax.tree.structure(ends[1])
    for one, other in zip(*map(jax.tree.leaves, ends), strict=True):
        assert bits(one) == bits(other)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(ends[0].params))


def bits(leaf: Any) -> bytes:
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf).tobytes()
