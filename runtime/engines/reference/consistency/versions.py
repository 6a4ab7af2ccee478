"""The parameters of the last steps, for rules that look back.

x(t-1), ..., x(t-T), all of them x when the rule begins.
"""

from collections.abc import Sequence
from typing import NamedTuple

from diamond.dsl.vocabulary import Asynchronous, Hogwild
from diamond.runtime.engines.reference import replicas
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Versions(NamedTuple):
    """What one member remembers."""

    past: tuple[Vector, ...]  # [max_staleness][parameters]: the newest first


def start(rule: Asynchronous | Hogwild, x: Vector) -> Versions:
    """Returns x, so many times."""
    return Versions((x,) * rule.max_staleness)


def back_to(
    axis: ReplicaAxis, state: ReferenceState, here: Sequence[Vector]
) -> list[tuple[Vector, ...]]:
    """Returns x(t), x(t-1), ..., x(t-T) for each member, where x(t) is given."""
    memory = replicas.rule_memory(axis, state)
    return [(x, *held.past) for x, held in zip(here, memory, strict=True)]


def aged(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Lets x(t) join the versions and the oldest leave; before x(t) is updated."""
    seen = back_to(axis, state, replicas.positions(state))
    memory = [Versions(versions[:-1]) for versions in seen]
    return replicas.with_rule_memory(axis, state, memory)
