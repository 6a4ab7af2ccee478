"""`local(every = H)`: each copy takes H steps alone; then the copies meet.

At the first step of the rule, a_i = x_i. At the end of every H-th step after it
    d   = mean_i (a_i - x_i)
    x_i <- the outer step from a_i by d, see `outer`
and when all axes are done with the step, a_i <- x_i. The outer step `average` of values
that cross as they are is taken as x_i <- mean_j x_j.

What becomes of the optimizer's state at a meeting, when the parameters are done:
`keep`     nothing
`average`  every floating-point part of it becomes its mean over the axis, exactly
`reset`    it is as at the start, at the new x_i

Limit: every = 1, `average` and plain sgd are `synchronous`.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from diamond.dsl.vocabulary import AllReduce, Average, Local, NoCompression
from diamond.runtime.engines.reference import compute, exchange, replicas
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.consistency.outer import outer_step
from diamond.runtime.engines.reference.meeting import average
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Met(NamedTuple):
    """What one member remembers."""

    anchor: Vector  # [parameters]: a_i, where the copies last met
    momentum: Vector  # [parameters]: b of the outer step
    sent: Vector | None  # [parameters]: d that is on its way, None without delay


def start(rule: Local, x: Vector) -> Met:
    """Returns an anchor at x, and no momentum."""
    return Met(x, 0 * x, 0 * x if rule.delay else None)


def parameters(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Takes the outer step if the copies meet."""
    clause, here = axis.at(state.step), replicas.positions(state)
    if not clause.is_due(state.step):
        return state
    if _exchanges_parameters(clause, state.step):
        means, state = exchange.mean_over(axis, state, here)
        return replicas.moved(state, means)
    memory = replicas.rule_memory(axis, state)
    ways = [held.anchor - x for held, x in zip(memory, here, strict=True)]
    ways, state = exchange.mean_over(axis, state, ways)
    outer = [
        outer_step(clause.consistency.outer, axis.size, held.anchor, held.momentum, d)
        for held, d in zip(memory, ways, strict=True)
    ]
    memory_after = [
        held._replace(momentum=b) for held, (_, b) in zip(memory, outer, strict=True)
    ]
    state = replicas.with_rule_memory(axis, state, memory_after)
    return replicas.moved(state, [x for x, _ in outer])


def finish(
    axis: ReplicaAxis, state: ReferenceState, optimizer: optax.GradientTransformation
) -> ReferenceState:
    """Sets the anchors, and sees to the optimizer's state, if the copies met."""
    clause, here = axis.at(state.step), replicas.positions(state)
    if not clause.is_due(state.step):
        return state
    memory = replicas.rule_memory(axis, state)
    pairs = zip(memory, here, strict=True)
    anchored = [held._replace(anchor=x) for held, x in pairs]
    state = replicas.with_rule_memory(axis, state, anchored)
    if clause.consistency.state == "average":
        return state._replace(optimizer=_averaged(axis, state.optimizer))
    if clause.consistency.state == "reset":
        begin = compute.compiled(optimizer.init)
        return state._replace(optimizer=tuple(map(begin, state.params)))
    return state


def _exchanges_parameters(clause: Clause, step: int) -> bool:
    """Says whether x itself crosses the axis, rather than the way since the anchor."""
    who, averages = clause.centralization, clause.consistency.outer == Average()
    takes_mean = isinstance(who, AllReduce) and who.reduce == "mean"
    return averages and takes_mean and clause.codec(step) == NoCompression()


def _averaged(axis: ReplicaAxis, states: Sequence[Any]) -> tuple[Any, ...]:
    averaged = list(states)
    for group in axis.groups:
        mean = jax.tree.map(_mean_of_floats, *[states[i] for i in group])
        for i in group:
            averaged[i] = mean
    return tuple(averaged)


def _mean_of_floats(*leaves: Any) -> Any:
    arrays = [np.asarray(leaf) for leaf in leaves]
    return average(arrays) if compute.is_floating(arrays[0]) else leaves[0]
