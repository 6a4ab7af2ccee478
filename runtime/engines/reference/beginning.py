"""What rules, codecs and push-sum remember when they begin."""

from collections.abc import Sequence
from typing import Any

from diamond.runtime.engines.reference import (
    consistency,
    exchange,
    replicas,
    vectors,
)
from diamond.runtime.engines.reference.centralization import gossip
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.consistency.fragments import fragments
from diamond.runtime.engines.reference.state import (
    OfMembers,
    ReferenceState,
    Tree,
    Vector,
)


def memories(axes: tuple[ReplicaAxis, ...], trees: Sequence[Tree]) -> dict[str, Any]:
    """Returns what all phases would begin with, if they began at given parameters."""
    here = [vectors.flatten(tree) for tree in trees]
    return {
        "rules": tuple(
            tuple(_rule_memory(rule, here) for rule in axis.rules) for axis in axes
        ),
        "codecs": tuple(
            tuple(
                _codec_memory(axis, clause, trees[0], here) for clause in axis.clauses
            )
            for axis in axes
        ),
        "push_sums": tuple(
            tuple(_push_sums(clause, here) for clause in axis.clauses) for axis in axes
        ),
    }


def begin(axes: tuple[ReplicaAxis, ...], state: ReferenceState) -> ReferenceState:
    """Lets the rules, and the push-sums, of this step's phases begin if it is first."""
    here = replicas.positions(state)
    for axis in axes:
        clause = axis.at(state.step)
        if clause.rule_start == state.step:
            memory = _rule_memory(clause.consistency, here)
            state = replicas.with_rule_memory(axis, state, memory)
        if clause.start == state.step:
            state = replicas.with_push_sums(axis, state, _push_sums(clause, here))
    return state


def _rule_memory(rule: Any, here: Sequence[Vector]) -> OfMembers:
    return tuple(consistency.start(rule, x) for x in here)


def _push_sums(clause: Clause, here: Sequence[Vector]) -> OfMembers:
    return tuple(gossip.start(clause.centralization, x) for x in here)


def _codec_memory(
    axis: ReplicaAxis, clause: Clause, tree: Tree, here: Sequence[Vector]
) -> tuple[OfMembers, ...]:
    layout = vectors.layout_of(tree)
    memory = []
    for places in fragments(tree, clause.parts):
        if not places:
            memory.append((None,) * len(here))
            continue
        where = vectors.coordinates(layout, places)
        like = [x[where] for x in here]
        memory.append(exchange.start(axis, clause, layout.at(places), like))
    return tuple(memory)
