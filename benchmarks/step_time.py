"""Step time of a compiled scheme against the same step written by hand."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import diamond
from benchmarks import by_hand
from benchmarks.interleave import Ratio, interleave
from diamond.runtime.tasks import make_task

STEPS = 20


class Case(NamedTuple):
    """An example scheme and its model by hand."""

    scheme: str
    model: Callable[[Any, jax.Array], jax.Array]


CASES = (Case("digits", by_hand.convnet), Case("text", by_hand.transformer))
WAYS = {"jit": by_hand.jitted, "shard_map": by_hand.mapped}


class Row(NamedTuple):
    """A measured pair: the scheme, how the other was written, and the ratio."""

    scheme: str
    way: str
    ratio: Ratio


def measure() -> Iterator[Row]:
    """Times each case against each way to write it by hand.

    Raises:
        AssertionError: If the two do not compute the same losses.
    """
    for case in CASES:
        for way in WAYS:
            yield Row(case.scheme, way, _measure(case, way))


def _measure(case: Case, way: str) -> Ratio:
    scheme = diamond.load(f"examples/{case.scheme}.diamond")
    data = diamond.open_data(scheme, "examples")
    program = diamond.compile(scheme, root="examples")
    batches = [data.batch_at(step) for step in range(STEPS)]
    ours = _Ours(program, batches)
    theirs = _Theirs(program, make_task(scheme, data), case, way, batches)
    _check_same(ours, theirs)
    return interleave(ours.run, theirs.run)


class _Ours:
    """A run of the compiled scheme."""

    def __init__(self, program: diamond.Program, batches: list[Any]) -> None:
        self.program, self.batches = program, batches
        self.state = program.init(jax.random.key(0))
        self.losses: list[jax.Array] = []

    def run(self) -> None:
        """Takes `STEPS` steps and waits for them."""
        self.losses = []
        for batch in self.batches:
            self.state, metrics = self.program.step(self.state, batch)
            self.losses.append(metrics["loss"])
        jax.block_until_ready(self.state.params)


class _Theirs:
    """A run of the step by hand."""

    def __init__(
        self,
        program: diamond.Program,
        task: Any,
        case: Case,
        way: str,
        batches: list[Any],
    ) -> None:
        mesh = program.mesh
        self.batches = batches
        self.sharding = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
        loss = by_hand.loss_of(case.model)
        self.step = WAYS[way](loss, task.optimizer, mesh)
        whole = NamedSharding(mesh, PartitionSpec())
        self.params = jax.device_put(jax.jit(task.init)(jax.random.key(0)), whole)
        self.state = jax.device_put(task.optimizer.init(self.params), whole)
        self.losses: list[jax.Array] = []

    def run(self) -> None:
        """Takes `STEPS` steps and waits for them."""
        self.losses = []
        for batch in self.batches:
            placed = jax.device_put(batch, self.sharding)
            self.params, self.state, loss = self.step(self.params, self.state, placed)
            self.losses.append(loss)
        jax.block_until_ready(self.params)


def _check_same(ours: _Ours, theirs: _Theirs) -> None:
    ours.run()
    theirs.run()
    mine = [float(np.mean(loss)) for loss in ours.losses]
    other = [float(np.mean(loss)) for loss in theirs.losses]
    np.testing.assert_allclose(mine, other, rtol=1e-3)
