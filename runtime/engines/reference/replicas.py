"""What the members along one replica axis do with each other in a step."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

from diamond.dsl.vocabulary import Local
from diamond.runtime.engines.reference import exchange, local, vectors
from diamond.runtime.engines.reference.state import (
    ReferenceState,
    Residual,
    Rule,
    Vector,
)
from diamond.runtime.engines.reference.timeline import Clause, ReplicaAxis

T = TypeVar("T")


def rules_at(axis: ReplicaAxis, flat: tuple[Vector, ...]) -> tuple[Rule | None, ...]:
    """Returns the memory of each phase of an axis's rule, where all have just met."""
    still = tuple(0 * x for x in flat)
    return tuple(
        Rule(flat, still) if isinstance(r, Local) else None for r in axis.rules
    )


def no_residuals(
    axis: ReplicaAxis, flat: tuple[Vector, ...], sizes: tuple[int, ...]
) -> tuple[tuple[Residual, ...], ...]:
    """Returns the residuals of each clause of an axis, before anything was sent."""
    return tuple(
        tuple(exchange.start(clause.compression, axis.size, sizes, x) for x in flat)
        for clause in axis.clauses
    )


def set_anchors(state: ReferenceState, axes: Iterable[ReplicaAxis]) -> ReferenceState:
    """Sets each member's anchor to where it stands, for the rules of some axes."""
    for axis in axes:
        place = axis.at(state.step).rule
        rule = state.rules[axis.index][place]
        assert rule is not None
        here = tuple(vectors.flatten(x) for x in state.params)
        state = _with_rule(state, axis, place, rule._replace(anchor=here))
    return state


def exchange_over(
    axis: ReplicaAxis, state: ReferenceState, values: Sequence[Vector]
) -> tuple[list[Vector], ReferenceState]:
    """Replaces every member's value by its group's mean, as the clause encodes it."""
    clause = axis.at(state.step)
    sizes = vectors.sizes_of(state.params[0])
    owed = list(state.residuals[axis.index][clause.index])
    means = list(values)
    for group in axis.groups:
        mean, left = exchange.mean(
            clause.compression,
            [values[i] for i in group],
            [owed[i] for i in group],
            sizes,
        )
        for i, residual in zip(group, left, strict=True):
            means[i], owed[i] = mean, residual
    return means, _with_residuals(state, axis, clause, tuple(owed))


def meet(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Takes the outer step of a `local` rule that is due."""
    clause = axis.at(state.step)
    here = [vectors.flatten(x) for x in state.params]
    if local.exchanges_parameters(clause):
        means, state = exchange_over(axis, state, here)
        return _with_parameters(state, means)
    rule, term = state.rules[axis.index][clause.rule], clause.consistency
    assert rule is not None
    assert isinstance(term, Local)
    ways = [a - x for a, x in zip(rule.anchor, here, strict=True)]
    means, state = exchange_over(axis, state, ways)
    outer = [
        local.outer_step(term, a, b, d)
        for a, b, d in zip(rule.anchor, rule.momentum, means, strict=True)
    ]
    rule = rule._replace(momentum=tuple(b for _, b in outer))
    state = _with_rule(state, axis, clause.rule, rule)
    return _with_parameters(state, [x for x, _ in outer])


def _with_parameters(state: ReferenceState, flat: Sequence[Vector]) -> ReferenceState:
    pairs = zip(flat, state.params, strict=True)
    params = tuple(vectors.unflatten(vector, like) for vector, like in pairs)
    return state._replace(params=params)


def _with_rule(
    state: ReferenceState, axis: ReplicaAxis, place: int, rule: Rule
) -> ReferenceState:
    rules = _replaced(state.rules[axis.index], place, rule)
    return state._replace(rules=_replaced(state.rules, axis.index, rules))


def _with_residuals(
    state: ReferenceState,
    axis: ReplicaAxis,
    clause: Clause,
    residuals: tuple[Residual, ...],
) -> ReferenceState:
    clauses = _replaced(state.residuals[axis.index], clause.index, residuals)
    return state._replace(residuals=_replaced(state.residuals, axis.index, clauses))


def _replaced(items: tuple[T, ...], place: int, item: T) -> tuple[T, ...]:
    return (*items[:place], item, *items[place + 1 :])
