"""A program's state, and how its parts lie on the mesh.

Every device holds one copy of everything. An array that differs along some axes has
one leading dim for each of them, outermost first, sharded over that axis; along all
other axes its copies are equal.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import PartitionSpec

from diamond.compiler.agreements import Part
from diamond.compiler.plan import Plan

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
        mixers: For each codec's memory, its mixer's state, likewise.
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
    """Along which axes each part of the state differs, outermost first."""

    params: tuple[str, ...]
    optimizer: tuple[str, ...]
    rules: dict[str, tuple[str, ...]]
    mixers: dict[str, tuple[str, ...]]


def layout_of(plan: Plan, parts: tuple[Part, ...]) -> Layout:
    """Returns the axes along which a plan's state differs."""
    loose = plan.loose_axes
    serving = [p.exchange.agreement.axis for p in parts if p.mixer.server]
    return Layout(
        params=loose,
        optimizer=_in_order(plan, {*loose, *serving}),
        rules={part.clause: _rule_axes(plan, part) for part in parts},
        mixers={part.memory: _mixer_axes(plan, part) for part in parts},
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


def specs_of(layout: Layout) -> Arrays:
    """Returns a partition spec for each part of the state."""
    return Arrays(
        PartitionSpec(*layout.params),
        PartitionSpec(*layout.optimizer),
        {key: PartitionSpec(*axes) for key, axes in layout.rules.items()},
        {key: PartitionSpec(*axes) for key, axes in layout.mixers.items()},
    )
