"""What all functions of a program stand on: the mesh, and what each device does there.

Everything is one `shard_map`, manual over every mesh axis: inside it a device sees its
own copy and its own share of the batch, and each exchange is the collectives that the
plan lists and nothing else (but for the loss of a caller's own model over a tensor
axis, `apart.py`).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import AbstractMesh, Mesh

from diamond.compiler.agreements import Active, Part, parts_of
from diamond.compiler.parallelism.partition import Partition, partition_of
from diamond.compiler.plan import Plan
from diamond.compiler.shards import Shards, shards_of
from diamond.compiler.state import (
    Arrays,
    Layout,
    Placing,
    add_dims,
    drop_dims,
    layout_of,
    placing_of,
)
from diamond.compiler.task import Task
from diamond.compiler.variants import Due


class Ground(NamedTuple):
    """A plan and a task on a mesh.

    Attributes:
        plan: The plan.
        task: What is trained.
        mesh: The devices.
        parts: What carries the exchanges out.
        layout: The leading dims of the state.
        shards: How the devices that hold one copy compute with it, whatever XLA's
            partitioner does inside.
        placing: Where the arrays lie.
        partition: What the partitioner cuts, if it does.
    """

    plan: Plan
    task: Task
    mesh: Mesh | AbstractMesh
    parts: tuple[Part, ...]
    layout: Layout
    shards: Shards
    placing: Placing
    partition: Partition | None

    def mapped(
        self, body: Callable[..., Any], given: Any, made: Any
    ) -> Callable[..., Any]:
        """Returns what a device does as a function of global arrays."""
        return jax.shard_map(
            body, mesh=self.mesh, in_specs=given, out_specs=made, check_vma=False
        )

    def active(self, due: Due) -> Active:
        """Returns the exchanges that are due, with their turns, in the plan's order."""
        turns = dict(due)
        return [
            (part, turns[part.exchange.name])
            for part in self.parts
            if part.exchange.name in turns
        ]

    def drop_copies(self, arrays: Arrays) -> Arrays:
        """Takes the leading dims off what a device sees inside `shard_map`."""
        return self._each(arrays, drop_dims)

    def add_copies(self, arrays: Arrays) -> Arrays:
        """Puts the leading dims on again."""
        return self._each(arrays, add_dims)

    def _each(self, arrays: Arrays, change: Callable[[Any, int], Any]) -> Arrays:
        layout = self.layout
        return Arrays(
            params=change(arrays.params, len(layout.params)),
            optimizer=change(arrays.optimizer, len(layout.optimizer)),
            rules={
                key: change(state, len(layout.rules[key]))
                for key, state in arrays.rules.items()
            },
            mixers={
                key: change(state, len(layout.mixers[key]))
                for key, state in arrays.mixers.items()
            },
        )


def ground_of(plan: Plan, task: Task, mesh: Mesh | AbstractMesh) -> Ground:
    """Returns what the functions of a program stand on."""
    parts = parts_of(plan)
    layout = layout_of(plan, parts)
    settings = (plan.accumulate, plan.remat, plan.precision, plan.seed)
    partition = partition_of(plan.axes, plan.tensors, task)
    written = [a for a in plan.axes if partition is None or a.name != partition.axis]
    shards = shards_of(written, plan.tensors, task, *settings)
    shapes = jax.eval_shape(task.init, jax.eval_shape(lambda: jax.random.key(0)))
    placing = placing_of(plan, layout, task, shapes)
    return Ground(plan, task, mesh, parts, layout, shards, placing, partition)
