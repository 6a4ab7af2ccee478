"""Reading and writing the parts of a state that belong to one axis."""

from collections.abc import Sequence
from typing import Any, TypeVar

from diamond.runtime.engines.reference import vectors
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.state import (
    OfMembers,
    ReferenceState,
    Vector,
)

T = TypeVar("T")


def positions(state: ReferenceState) -> list[Vector]:
    """Returns each member's parameters as one vector."""
    return [vectors.flatten(x) for x in state.params]


def moved(state: ReferenceState, flat: Sequence[Vector]) -> ReferenceState:
    """Puts the members at other parameters."""
    pairs = zip(flat, state.params, strict=True)
    params = tuple(vectors.unflatten(vector, like) for vector, like in pairs)
    return state._replace(params=params)


def rule_memory(axis: ReplicaAxis, state: ReferenceState) -> OfMembers:
    """Returns what the rule in force on an axis remembers."""
    return state.rules[axis.index][axis.at(state.step).rule]


def with_rule_memory(
    axis: ReplicaAxis, state: ReferenceState, memory: Sequence[Any]
) -> ReferenceState:
    """Replaces what the rule in force on an axis remembers."""
    place = axis.at(state.step).rule
    rules = replaced(state.rules[axis.index], place, tuple(memory))
    return state._replace(rules=replaced(state.rules, axis.index, rules))


def codec_memory(axis: ReplicaAxis, state: ReferenceState, part: int) -> OfMembers:
    """Returns what the codec in force on an axis remembers of a part of the model."""
    return state.codecs[axis.index][axis.at(state.step).memory][part]


def with_codec_memory(
    axis: ReplicaAxis, state: ReferenceState, part: int, memory: Sequence[Any]
) -> ReferenceState:
    """Replaces what the codec in force on an axis remembers of a part of the model."""
    clauses, place = state.codecs[axis.index], axis.at(state.step).memory
    clauses = replaced(clauses, place, replaced(clauses[place], part, tuple(memory)))
    return state._replace(codecs=replaced(state.codecs, axis.index, clauses))


def push_sums(axis: ReplicaAxis, state: ReferenceState) -> OfMembers:
    """Returns what push-sum remembers on an axis."""
    return state.push_sums[axis.index][axis.at(state.step).index]


def with_push_sums(
    axis: ReplicaAxis, state: ReferenceState, memory: Sequence[Any]
) -> ReferenceState:
    """Replaces what push-sum remembers on an axis."""
    place = axis.at(state.step).index
    clauses = replaced(state.push_sums[axis.index], place, tuple(memory))
    return state._replace(push_sums=replaced(state.push_sums, axis.index, clauses))


def replaced(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    """Returns a tuple with another item at one place."""
    return (*items[:place], item, *items[place + 1 :])
