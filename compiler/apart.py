"""Apart: a step in three parts, where XLA's partitioner has the loss of a model.

    look           where rules see the parameters          manual over every axis
    differentiate  the gradient of each copy's own loss    manual over all but one
    move           exchanges and updates of cuts           manual over every axis

All three are in one program. What an exchange sends is a device's cut, as ever: were
the axis the partitioner's there too, it would gather a cut before it crosses.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jax.sharding import PartitionSpec

from diamond.compiler.agreements import Active
from diamond.compiler.ground import Ground
from diamond.compiler.member import moved, seen
from diamond.compiler.parallelism.partition import Partition
from diamond.compiler.state import Arrays, add_dims, drop_dims
from diamond.compiler.task import Batch, Params

Step = Callable[[Arrays, Batch], tuple[Arrays, Any]]


class Apart(NamedTuple):
    """What the parts of such a step need.

    Attributes:
        ground: What all functions of the program stand on.
        partition: What the partitioner cuts.
    """

    ground: Ground
    partition: Partition

    def step(self, active: Active) -> Step:
        """Returns the step of some exchanges that are due, with their turns."""
        ground, placing = self.ground, self.ground.placing
        copies, shards = ground.plan.copy_axes, ground.shards
        is_elsewhere = any(part.rule.view is not None for part, _ in active)
        leading = copies if is_elsewhere else ground.layout.params

        def look(arrays: Arrays) -> Params:
            at = seen(ground.drop_copies(arrays), shards, active)
            return add_dims(at, len(copies))

        def differentiate(params: Params, batch: Batch) -> tuple[Any, Params]:
            params = drop_dims(params, len(leading))
            loss, gradients = shards.gradient(params, None, batch)
            losses = loss.reshape((1,) * len(placing.losses))
            return losses, add_dims(gradients, len(copies))

        def move(arrays: Arrays, gradients: Params) -> Arrays:
            local = ground.drop_copies(arrays)
            given = drop_dims(gradients, len(copies))
            after = moved(local, given, ground.task, shards, active)
            return ground.add_copies(after)

        def run(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            at = arrays.params
            if is_elsewhere:
                at = ground.mapped(look, (placing.arrays,), placing.copies)(arrays)
            given = (PartitionSpec(*leading), placing.of_batch(batch))
            made = (placing.losses, PartitionSpec(*copies))
            apart = self.partition.apart(differentiate, ground.mesh, given, made)
            losses, gradients = apart(at, batch)
            specs = (placing.arrays, placing.copies)
            moving = ground.mapped(move, specs, placing.arrays)
            return moving(arrays, gradients), losses

        return run
