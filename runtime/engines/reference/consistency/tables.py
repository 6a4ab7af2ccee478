"""What each rule does at which point of a step.

A step asks the rule in force on each axis, in this order:

start       what a member remembers, at the first step of the rule
view        where the gradients are taken
gradients   what becomes of them, from the innermost axis outwards
            (then each member's optimizer updates its parameters)
parameters  what becomes of them, from the innermost axis outwards
finish      what is left to do when all axes are done
moved       what else there is to do if an axis outside was due

A rule does nothing where it has no say. Under `gossip` the parameters are mixed, and
the rule says only when.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import optax

from diamond.dsl.vocabulary import (
    Asynchronous,
    Elastic,
    Ensemble,
    Gossip,
    Hogwild,
    Local,
    Pipelined,
    StaleSynchronous,
    Synchronous,
)
from diamond.runtime.engines.reference import meaning
from diamond.runtime.engines.reference.centralization import gossip
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.consistency import (
    asynchronous,
    elastic,
    hogwild,
    local,
    pipelined,
    stale_synchronous,
    streaming,
    synchronous,
    versions,
)
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.state import ReferenceState, Vector


def _nothing(rule: Any, x: Vector) -> None:
    return None


def _here(
    axis: ReplicaAxis, state: ReferenceState, here: Sequence[Vector]
) -> list[Vector]:
    return list(here)


def _own(axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]) -> Results:
    return list(given), state


def _stay(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    return state


def _done(
    axis: ReplicaAxis, state: ReferenceState, optimizer: optax.GradientTransformation
) -> ReferenceState:
    return state


class Rule(NamedTuple):
    """The parts of a rule; see the module."""

    start: Callable[[Any, Vector], Any] = _nothing
    view: Callable[[ReplicaAxis, ReferenceState, Sequence[Vector]], list[Vector]] = (
        _here
    )
    gradients: Callable[[ReplicaAxis, ReferenceState, Sequence[Vector]], Results] = _own
    parameters: Callable[[ReplicaAxis, ReferenceState], ReferenceState] = _stay
    finish: Callable[
        [ReplicaAxis, ReferenceState, optax.GradientTransformation], ReferenceState
    ] = _done
    moved: Callable[[ReplicaAxis, ReferenceState], ReferenceState] = _stay


RULES: dict[type, Rule] = {
    Synchronous: Rule(gradients=synchronous.gradients),
    Pipelined: Rule(pipelined.start, gradients=pipelined.gradients),
    StaleSynchronous: Rule(
        stale_synchronous.start, gradients=stale_synchronous.gradients
    ),
    Asynchronous: Rule(versions.start, asynchronous.view, asynchronous.gradients),
    Hogwild: Rule(versions.start, hogwild.view, hogwild.gradients),
    Local: Rule(local.start, parameters=local.parameters, finish=local.finish),
    Elastic: Rule(elastic.start, parameters=elastic.parameters, moved=elastic.moved),
    Ensemble: Rule(),
}
STREAMING = Rule(local.start, parameters=streaming.parameters)
GOSSIP = Rule(parameters=gossip.parameters, moved=gossip.moved)


def rule_of(clause: Clause) -> Rule:
    """Returns what a clause does at each point of a step."""
    if isinstance(clause.centralization, Gossip):
        return GOSSIP
    if meaning.is_streaming(clause.consistency):
        return STREAMING
    return RULES[type(clause.consistency)]


def are_moved(axis: ReplicaAxis, step: int) -> bool:
    """Says whether a step moves the members along an axis by an exchange."""
    clause = axis.at(step)
    moves = rule_of(clause).parameters is not _stay
    return moves and clause.is_due(step)


def start(rule: Any, x: Vector) -> Any:
    """Returns what a member at x remembers when a rule begins."""
    return RULES[type(rule)].start(rule, x)
