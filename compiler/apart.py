"""Apart: a step in three parts, where XLA's partitioner has the loss of a model.

    look           where rules see the parameters          manual over every axis
    differentiate  the gradient of each copy's own loss    manual over all but one
    move           exchanges and updates of cuts           manual over every axis

All three are in one program. What an exchange sends is a device's cut, as ever: were
the axis the partitioner's there too, it would gather a cut before it crosses.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax.sharding import AbstractMesh, Mesh, PartitionSpec

from diamond.compiler.member import Active, moved, seen
from diamond.compiler.parallelism.partition import Partition
from diamond.compiler.plan import Plan
from diamond.compiler.shards import Shards
from diamond.compiler.state import (
    Arrays,
    Layout,
    Placing,
    add_copies,
    add_dims,
    drop_copies,
    drop_dims,
)
from diamond.compiler.task import Batch, Params, Task

Mapped = Callable[[Callable[..., Any], Any, Any], Callable[..., Any]]
Step = Callable[[Arrays, Batch], tuple[Arrays, Any]]


class Apart(NamedTuple):
    """What the parts of such a step need.

    Attributes:
        plan: The plan.
        task: What is trained.
        shards: How a copy is computed with, whatever the partitioner does inside.
        layout: The state's leading dims.
        placing: Where everything lies.
        partition: What the partitioner cuts.
    """

    plan: Plan
    task: Task
    shards: Shards
    layout: Layout
    placing: Placing
    partition: Partition

    def step(self, active: Active, mesh: Mesh | AbstractMesh, mapped: Mapped) -> Step:
        """Returns the step of some exchanges that are due.

        Args:
            active: The exchanges, with their turns.
            mesh: The mesh.
            mapped: (body, specs of what is given, of what is made) -> a function that
                is manual over every axis.
        """
        placing, copies = self.placing, self.plan.copy_axes
        is_elsewhere = any(part.rule.view is not None for part, _ in active)
        leading = copies if is_elsewhere else self.layout.params

        def look(arrays: Arrays) -> Params:
            at = seen(drop_copies(arrays, self.layout), self.shards, active)
            return add_dims(at, len(copies))

        def differentiate(params: Params, batch: Batch) -> tuple[Any, Params]:
            params = drop_dims(params, len(leading))
            loss, gradients = self.shards.gradient(params, None, batch)
            losses = loss.reshape((1,) * len(placing.losses))
            return losses, add_dims(gradients, len(copies))

        def move(arrays: Arrays, gradients: Params) -> Arrays:
            local = drop_copies(arrays, self.layout)
            given = drop_dims(gradients, len(copies))
            after = moved(local, given, self.task, self.shards, active)
            return add_copies(after, self.layout)

        def run(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            at = arrays.params
            if is_elsewhere:
                at = mapped(look, (placing.arrays,), placing.copies)(arrays)
            given = (PartitionSpec(*leading), placing.of_batch(batch))
            made = (placing.losses, PartitionSpec(*copies))
            losses, gradients = self.partition.apart(differentiate, mesh, given, made)(
                at, batch
            )
            moving = mapped(move, (placing.arrays, placing.copies), placing.arrays)
            return moving(arrays, gradients), losses

        return run
