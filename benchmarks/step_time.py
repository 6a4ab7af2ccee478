"""Step time of a compiled scheme against the same step written by hand."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import diamond
from benchmarks import by_hand, by_hand_pipeline, by_hand_tensor, by_hand_zero
from benchmarks.by_hand import Hand
from benchmarks.interleave import Ratio, interleave
from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.tasks import make_task

STEPS, PAIRS = 5, 25
SHARDED = """
scheme sharded

model transformer {{ layers = {layers}; width = 64; heads = 8; context = 64 }}

data text {{ batch = {batch} }}

train {{ optimizer = adamw(lr = 1e-3, weight_decay = 0.1); steps = 100 }}

mesh {{ {mesh} }}

{strategies}
"""
PIPELINE = """
parallelism {{ pipeline(schedule = {schedule}, microbatches = 8) over stage }}
replicas over host {{ consistency = synchronous }}
"""

Way = Callable[[by_hand.Model, Any, Any, Any], Hand]


class Case(NamedTuple):
    """A scheme, and how it is written by hand.

    Attributes:
        name: What it is called.
        scheme: The scheme.
        model: The model by hand.
        ways: Names and functions of the ways to write its step.
    """

    name: str
    scheme: Scheme
    model: by_hand.Model
    ways: dict[str, Way]


COPIES: dict[str, Way] = {
    "jit": by_hand.copies_jitted,
    "shard_map": by_hand.copies_mapped,
}
SHARDS: dict[str, Way] = {
    "jit": by_hand_zero.shards_jitted,
    "shard_map": by_hand_zero.shards_mapped,
}
PARTS: dict[str, Way] = {
    "jit": by_hand_tensor.parts_jitted,
    "shard_map": by_hand_tensor.parts_mapped,
}
STAGES: dict[str, Way] = {"shard_map": by_hand_pipeline.stages_mapped}


def cases() -> Iterator[Case]:
    """Yields what is compared."""
    for name, model in (("digits", by_hand.convnet), ("text", by_hand.transformer)):
        yield Case(name, diamond.load(f"examples/{name}.diamond"), model, COPIES)
    zero = "parallelism { zero(stage = 3) over host }"
    yield _transformer("zero", zero, SHARDS, mesh="host = 8", batch=32)
    tensor = "parallelism { tensor over chip }"
    yield _transformer("tensor", tensor, PARTS, mesh="chip = 8", batch=16)
    for schedule in ("gpipe", "one_f_one_b"):
        stages = PIPELINE.format(schedule=schedule)
        mesh = "host = 2; stage = 4"
        yield _transformer(schedule, stages, STAGES, mesh=mesh, batch=32, layers=4)


def _transformer(
    name: str,
    strategies: str,
    ways: dict[str, Way],
    *,
    mesh: str,
    batch: int,
    layers: int = 2,
) -> Case:
    text = SHARDED.format(layers=layers, batch=batch, mesh=mesh, strategies=strategies)
    scheme, _ = load_text(text)
    return Case(name, scheme, by_hand.transformer, ways)


class Row(NamedTuple):
    """A measured pair: the scheme, how the other was written, and the ratio."""

    scheme: str
    way: str
    ratio: Ratio


def measure(names: frozenset[str] = frozenset()) -> Iterator[Row]:
    """Times each case against each way to write it by hand.

    Args:
        names: The cases; all where empty.

    Raises:
        AssertionError: If the two do not compute the same losses.
    """
    for case in cases():
        if not names or case.name in names:
            for way in case.ways:
                yield Row(case.name, way, _measure(case, way))


def pair_of(case: Case, way: str) -> tuple["Ours", "Theirs"]:
    """Returns the two runs, from the same weights over the same batches."""
    data = diamond.open_data(case.scheme, "examples")
    program = diamond.compile(case.scheme, root="examples")
    batches = [data.batch_at(step) for step in range(STEPS)]
    task = make_task(case.scheme, data)
    params = jax.jit(task.init)(jax.random.key(0))
    hand = case.ways[way](case.model, task.optimizer, program.mesh, params)
    theirs = Theirs(hand, params, task.optimizer.init(params), batches)
    return Ours(program, batches), theirs


def _measure(case: Case, way: str) -> Ratio:
    ours, theirs = pair_of(case, way)
    _check_same(ours, theirs)
    return interleave(ours.run, theirs.run, pairs=PAIRS)


class Ours:
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


class Theirs:
    """A run of the step by hand."""

    def __init__(self, hand: Hand, params: Any, state: Any, batches: list[Any]) -> None:
        layout = hand.layout
        self.batches, self.step = batches, hand.step
        self.sharding = layout.shardings(layout.batch)
        self.params = jax.device_put(params, layout.shardings(layout.params))
        self.state = jax.device_put(state, layout.shardings(layout.state))
        self.losses: list[jax.Array] = []

    def run(self) -> None:
        """Takes `STEPS` steps and waits for them."""
        self.losses = []
        for batch in self.batches:
            placed = jax.device_put(batch, self.sharding)
            self.params, self.state, loss = self.step(self.params, self.state, placed)
            self.losses.append(loss)
        jax.block_until_ready(self.params)


def _check_same(ours: Ours, theirs: Theirs) -> None:
    ours.run()
    theirs.run()
    mine = [float(np.mean(loss)) for loss in ours.losses]
    other = [float(np.mean(loss)) for loss in theirs.losses]
    np.testing.assert_allclose(mine, other, rtol=1e-3)
