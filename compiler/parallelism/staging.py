"""Staging: which axis of a mesh is a pipeline, and what it needs of the task."""

from collections.abc import Sequence

from diamond.compiler.parallelism.schedules.table import Table
from diamond.compiler.parallelism.schedules.tables import table_of
from diamond.compiler.parallelism.spread import Spread
from diamond.compiler.parallelism.stack import Stack
from diamond.compiler.plan import MeshAxis
from diamond.compiler.task import Task
from diamond.dsl import vocabulary as words


def pipeline_axis(axes: Sequence[MeshAxis]) -> MeshAxis | None:
    """Returns the axis whose devices are stages, if there are several."""
    return next(
        (a for a in axes if isinstance(a.strategy, words.Pipeline) and a.size > 1),
        None,
    )


def microbatches_of(axes: Sequence[MeshAxis]) -> int:
    """Returns into how many microbatches a pipeline cuts what it takes at once."""
    axis = pipeline_axis(axes)
    return _term(axis).microbatches if axis else 1


def table_on(axis: MeshAxis) -> Table:
    """Returns the schedule of a pipeline."""
    return table_of(_term(axis), axis.size)


def stack_for(axis: MeshAxis, task: Task, spread: Spread) -> Stack:
    """Returns one device's part of the task's model, in the parts of a pipeline.

    Raises:
        ValueError: If the task has none.
    """
    if task.stack is None:
        raise ValueError(
            f"`pipeline over {axis.name}` takes a model of the language apart together "
            "with its loss, and this loss is the caller's own: leave the loss to the "
            "scheme, pass a model of your own too, or use `zero`"
        )
    return task.stack(spread)


def _term(axis: MeshAxis) -> words.Pipeline:
    assert isinstance(axis.strategy, words.Pipeline)
    return axis.strategy
