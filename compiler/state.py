"""A program's state, and how its parts lie on the mesh.

Every device holds one copy of everything. An array that differs along some axes has
one leading dim for each of them, outermost first, sharded over that axis; along all
other axes its copies are equal.
"""

from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import PartitionSpec

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.plan import Plan

Tree = Any


class State(NamedTuple):
    """Everything that training carries from one step to the next.

    Attributes:
        step: Steps done, on the host: `int32[]` of NumPy, so that reading it never
            waits for a device.
        params: The parameters, with a leading dim for each loose axis.
        optimizer: The optimizer's state, likewise.
        rules: For each consistency clause, its rule's state, likewise.
        mixers: For each exchange by name, its mixer's state, with a leading dim for
            each axis of `Layout.mixers`.
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

    copies: tuple[str, ...]
    mixers: dict[str, tuple[str, ...]]


def layout_of(plan: Plan) -> Layout:
    """Returns the axes along which a plan's state differs."""
    mixers = {part.exchange.name: _differing(plan, part) for part in parts_of(plan)}
    return Layout(plan.loose_axes, mixers)


def _differing(plan: Plan, part: Part) -> tuple[str, ...]:
    """What a codec lost differs along its axis, and along all that are not averaged.

    Gradients reach an axis averaged over the axes inside it; parameters reach it
    equal along the tight axes.
    """
    names = [axis.name for axis in plan.axes]
    own = names.index(part.exchange.agreement.axis)
    if part.exchange.subject == "gradients":
        return tuple(names[: own + 1])
    return tuple(n for i, n in enumerate(names) if i == own or n in plan.loose_axes)


def add_dims(tree: Tree, num: int) -> Tree:
    """Puts `num` leading dims of size 1 on each array."""
    return jax.tree.map(lambda leaf: leaf.reshape((1,) * num + leaf.shape), tree)


def drop_dims(tree: Tree, num: int) -> Tree:
    """Takes `num` leading dims of size 1 off each array."""
    return jax.tree.map(lambda leaf: leaf.reshape(leaf.shape[num:]), tree)


def specs_of(layout: Layout) -> Arrays:
    """Returns a partition spec for each part of the state."""
    copies = PartitionSpec(*layout.copies)
    mixers = {name: PartitionSpec(*axes) for name, axes in layout.mixers.items()}
    return Arrays(copies, copies, copies, mixers)  # type: ignore[arg-type]
