"""Partition: a model of the caller's own whose layers XLA cuts, over a tensor axis.

Its layers are not written for devices that hold parts of them. So its loss and gradient
are the one part of a step that is not manual over the tensor axis: parameters come in
cut as their names say, gradients go out cut likewise, and what lies between, and what
crosses the axis for it, is the partitioner's choice. Over all other axes it is manual,
so that nothing can cross those.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.sharding import AbstractMesh, Mesh, NamedSharding, PartitionSpec

from diamond.compiler.plan import MeshAxis, TensorSpec
from diamond.compiler.scopes import SCOPE
from diamond.compiler.task import Params, Task
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary.tables import word_of


class Partition(NamedTuple):
    """How the parameters of a copy lie over an axis that the partitioner has.

    Attributes:
        axis: Name of the axis.
        specs: For each parameter, in the tree's order, how its own dims are cut.
        name: Name of what crosses, which it carries in compiled programs.
    """

    axis: str
    specs: tuple[PartitionSpec, ...]
    name: str

    def apart(
        self, body: Callable[..., Any], mesh: Mesh | AbstractMesh, given: Any, made: Any
    ) -> Callable[..., Any]:
        """Returns a function that is manual over all axes but the partitioned one.

        Args:
            body: (parameters, ...) -> (something, a tree like the parameters).
            mesh: The mesh.
            given: How arguments are cut over the other axes.
            made: How results are.
        """
        others = frozenset(mesh.axis_names) - {self.axis}

        def inside(params: Params, *rest: Any) -> tuple[Any, Params]:
            with jax.named_scope(f"{SCOPE}{self.name}"):
                found, tree = body(self._cut(params, mesh, others), *rest)
                return found, self._cut(tree, mesh, others)

        if not others:
            return inside
        return jax.shard_map(
            inside,
            mesh=mesh,
            in_specs=given,
            out_specs=made,
            axis_names=others,
            check_vma=False,
        )

    def _cut(
        self, params: Params, mesh: Mesh | AbstractMesh, others: frozenset[str]
    ) -> Params:
        """Tells the partitioner how the last dims of parameters are cut."""
        leaves, tree = jax.tree.flatten(params)
        cut = []
        for leaf, spec in zip(leaves, self.specs, strict=True):
            leading = (None,) * (leaf.ndim - len(spec))
            where: Any = PartitionSpec(*leading, *spec)
            where = where if others else NamedSharding(mesh, where)
            cut.append(jax.lax.with_sharding_constraint(leaf, where))
        return jax.tree.unflatten(tree, cut)


def partition_of(
    axes: Sequence[MeshAxis], tensors: Sequence[TensorSpec], task: Task
) -> Partition | None:
    """Returns what the partitioner cuts, if a model of the caller's own is cut up.

    Raises:
        ValueError: If another strategy cuts the model up as well.
    """
    axis = partitioned_axis(axes, task)
    if axis is None:
        return None
    for other in axes:
        if other is not axis and not other.holds_copies and other.size > 1:
            raise ValueError(
                f"`tensor over {axis.name}` leaves the layers of your own model to "
                f"XLA's partitioner, and `{word_of(other.strategy)} over {other.name}` "
                "is written out: take replicas beside it, or one of the two"
            )
    specs = tuple(_spec(tensor) for tensor in tensors)
    return Partition(axis.name, specs, f"{axis.name}.{word_of(axis.strategy)}")


def partitioned_axis(axes: Sequence[MeshAxis], task: Task) -> MeshAxis | None:
    """Returns the tensor axis, where the task's layers are not written for one."""
    for axis in axes:
        if isinstance(axis.strategy, words.Tensor) and axis.size > 1:
            is_written = task.spread is not None or task.stack is not None
            return None if is_written else axis
    return None


def _spec(tensor: TensorSpec) -> PartitionSpec:
    cuts = tensor.cuts or ((),) * len(tensor.shape)
    return PartitionSpec(*(axes[0] if axes else None for axes in cuts))
