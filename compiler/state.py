"""A program's state, and how its parts lie on the mesh.

An array that differs along some axes has one leading dim for each of them, outermost
first, sharded over that axis. Parameters, and the optimizer's state of them, are cut
along their own dims by the strategies of parallelism. Along all other axes the copies
of an array are equal.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.sharding import PartitionSpec

from diamond.compiler.agreements import Part
from diamond.compiler.parallelism.cuts import stored
from diamond.compiler.parallelism.ensemble import ensemble_axis
from diamond.compiler.parallelism.features import INPUTS, columns_axis
from diamond.compiler.parallelism.scattering import is_coded
from diamond.compiler.plan import Plan, TensorSpec
from diamond.compiler.scopes import scope_of
from diamond.compiler.task import Params, Task

Tree = Any


class State(NamedTuple):
    """Everything that training carries from one step to the next.

    Attributes:
        step: Steps done, on the host: `int32[]` of NumPy, so that reading it never
            waits for a device.
        params: The parameters, with a leading dim for each loose axis.
        optimizer: The optimizer's state, with a leading dim for each loose axis, and
            for that of a parameter server, whose members own different shards of it.
        rules: For each consistency clause, its rule's state, with a leading dim for
            each axis of `Layout.rules`.
        mixers: For each codec's memory, its mixer's state, likewise; what a codec of a
            strategy lost, whose gradients differ on every device.
    """

    step: np.ndarray
    params: Tree
    optimizer: Tree
    rules: dict[str, Tree]
    mixers: dict[str, Tree]


class Arrays(NamedTuple):
    """The part of a state that lives on devices."""

    params: Tree
    optimizer: Tree
    rules: dict[str, Tree]
    mixers: dict[str, Tree]


class Layout(NamedTuple):
    """For which axes each part of the state has leading dims, outermost first."""

    params: tuple[str, ...]
    optimizer: tuple[str, ...]
    rules: dict[str, tuple[str, ...]]
    mixers: dict[str, tuple[str, ...]]


def layout_of(plan: Plan, parts: tuple[Part, ...]) -> Layout:
    """Returns the axes along which a plan's state differs."""
    loose, shards = plan.loose_axes, plan.shard_axes
    everywhere = tuple(axis.name for axis in plan.axes)
    serving = [p.exchange.agreement.axis for p in parts if p.mixer.server]
    return Layout(
        params=loose,
        optimizer=_in_order(plan, {*loose, *serving}) + shards * bool(serving),
        rules={part.clause: _rule_axes(plan, part) + shards for part in parts},
        mixers={
            **{part.memory: _mixer_axes(plan, part) + shards for part in parts},
            **{scope_of(axis): everywhere for axis in plan.axes if is_coded(axis)},
        },
    )


def _mixer_axes(plan: Plan, part: Part) -> tuple[str, ...]:
    """What a codec lost differs along its axis, and along all that are not averaged.

    Gradients reach an axis averaged over the axes inside it; parameters reach it
    equal along the tight axes.
    """
    own = part.exchange.agreement.axis
    if part.exchange.subject == "gradients":
        return (*_outside(plan, own), own)
    return _in_order(plan, {own, *plan.loose_axes})


def _rule_axes(plan: Plan, part: Part) -> tuple[str, ...]:
    if part.exchange.subject == "parameters":
        return plan.loose_axes
    own = part.exchange.agreement.axis
    shared = part.rule.is_shared and part.mixer.server is None
    return _outside(plan, own) + (() if shared else (own,))


def _outside(plan: Plan, axis: str) -> tuple[str, ...]:
    names = [each.name for each in plan.axes]
    return tuple(names[: names.index(axis)])


def _in_order(plan: Plan, chosen: set[str]) -> tuple[str, ...]:
    return tuple(axis.name for axis in plan.axes if axis.name in chosen)


def add_dims(tree: Tree, num: int) -> Tree:
    """Puts `num` leading dims of size 1 on each array."""
    return jax.tree.map(lambda leaf: leaf.reshape((1,) * num + leaf.shape), tree)


def drop_dims(tree: Tree, num: int) -> Tree:
    """Takes `num` leading dims of size 1 off each array."""
    return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[num:]), tree)


class Placing(NamedTuple):
    """Where everything lies: partition specs.

    Attributes:
        arrays: Of the parts of a state; a spec stands for all arrays under it.
        copy: Of the parameters of one copy, as a tree like them; an ensemble has a
            leading dim of those of each member.
        copies: Of something like the parameters that each copy has its own of.
        batch: Of the arrays of a batch.
        inputs: Of the array among them that models take, whose columns may be cut.
        losses: Of the losses, one a share of the batch and of its tokens.
        examples: Of the arrays that are evaluated, all of which an ensemble's members
            see.
    """

    arrays: Arrays
    copy: Params
    copies: Params
    batch: PartitionSpec
    inputs: PartitionSpec
    losses: PartitionSpec
    examples: PartitionSpec

    def of_batch(self, names: Iterable[str]) -> dict[str, PartitionSpec]:
        """Returns where each array of a batch lies, by its name."""
        return {name: self.inputs if name == INPUTS else self.batch for name in names}


def placing_of(plan: Plan, layout: Layout, task: Task, params: Params) -> Placing:
    """Returns where a program's arrays lie.

    Args:
        plan: The plan.
        layout: Its state's leading dims.
        task: What is trained.
        params: Shapes of the parameters of one copy, whole.
    """
    tree = jax.tree.structure(params)
    kept = [stored(tensor, plan.axes) for tensor in plan.tensors]
    splitting = tuple(axis.name for axis in plan.axes if axis.splits_batch)
    tokens = tuple(axis.name for axis in plan.axes if axis.splits_tokens)
    batch = PartitionSpec(splitting or None, *([tokens] if tokens else []))
    columns, ensemble = columns_axis(plan.axes), ensemble_axis(plan.axes)
    apart = (ensemble.name,) if ensemble else ()
    shared = tuple(name for name in splitting if name not in apart)
    arrays = Arrays(
        jax.tree.unflatten(tree, [_spec(layout.params, each) for each in kept]),
        _optimizer_specs(plan, layout, task, params),
        {key: PartitionSpec(*axes) for key, axes in layout.rules.items()},
        {key: PartitionSpec(*axes) for key, axes in layout.mixers.items()},
    )
    return Placing(
        arrays,
        jax.tree.unflatten(tree, [_spec(apart, each) for each in kept]),
        jax.tree.unflatten(tree, [_spec(plan.copy_axes, each) for each in kept]),
        batch,
        PartitionSpec(splitting or None, columns.name) if columns else batch,
        PartitionSpec(*_in_order(plan, {*splitting, *tokens})),
        PartitionSpec(shared or None),
    )


def _optimizer_specs(plan: Plan, layout: Layout, task: Task, params: Params) -> Any:
    """What the optimizer keeps of each parameter is cut like the parameter.

    Under a parameter server it keeps something of a shard, and the shards differ along
    the leading dims alone.
    """
    leading = PartitionSpec(*layout.optimizer)
    if (
        not any(tensor.cuts for tensor in plan.tensors)
        or layout.optimizer != layout.params
    ):
        return leading
    state = jax.eval_shape(task.optimizer.init, params)
    specs = [_spec(layout.optimizer, tensor) for tensor in plan.tensors]
    return optax.tree_map_params(
        task.optimizer,
        lambda _, spec: spec,
        state,
        jax.tree.unflatten(jax.tree.structure(params), specs),
        transform_non_params=lambda _: leading,
    )


def _spec(leading: Sequence[str], tensor: TensorSpec) -> PartitionSpec:
    return PartitionSpec(*leading, *(axes or None for axes in tensor.cuts))
