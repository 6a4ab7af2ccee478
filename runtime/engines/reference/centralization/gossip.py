"""`gossip(topology, push_sum)`: each member mixes its parameters with its peers'.

After the optimizer's update, at every step with `synchronous`, every H steps with
`local(every = H)`, with the weights w of `topologies`:

codec `none`
    x_i <- w_ii x_i + sum_{j != i} w_ij x_j
a codec C
    x_i <- x_i + sum_{j != i} w_ij C(x_j) - (1 - w_ii) C(x_i)
`complete`
    x_i <- mean_j x_j        or    x_i + mean_j C(x_j) - C(x_i)

Since what a member gives away sums to 1, the mean over members is conserved, also
with a codec, but for rounding.

`push_sum`, for weights whose rows do not sum to 1: y_i = x_i and omega_i = 1 at the
beginning,
    y_i     <- y_i + (x_i - y_i (1/omega_i))    the way that x went since
    y       <- the mixture of y, by the codec
    omega_i <- w_ii omega_i + sum_{j != i} w_ij omega_j
    x_i     <- y_i (1/omega_i)
and y_i <- x_i omega_i where an axis outside moves the members after that.

Lian et al., "Can decentralized algorithms outperform centralized algorithms?", arXiv
1705.09056, 2017. Assran, Loizou, Ballas and Rabbat, "Stochastic gradient push for
distributed deep learning", arXiv 1811.10792, 2019. The form with a codec: Koloskova,
Stich and Jaggi, "Decentralized stochastic optimization and gossip algorithms with
compressed communication", arXiv 1902.00340, 2019, whose estimates of the peers are
here the decoded values themselves.
"""

from typing import Any, NamedTuple

import numpy as np

from diamond.dsl.vocabulary import Gossip, NoCompression
from diamond.runtime.engines.reference import compression, exchange, replicas
from diamond.runtime.engines.reference.centralization.topologies import Row, rows
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.meeting import (
    Array,
    Leaves,
    Meeting,
    average,
)
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Pushed(NamedTuple):
    """What push-sum remembers for one member."""

    numerator: Vector  # [parameters]: y_i
    weight: Array  # []: omega_i


def start(who: Any, x: Vector) -> Pushed | None:
    """Returns what push-sum begins with at x; None where it is not asked for."""
    if not isinstance(who, Gossip) or not who.push_sum:
        return None
    return Pushed(x, np.ones((), x.dtype))


def parameters(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Mixes the members' parameters if the clause is due."""
    clause, here = axis.at(state.step), replicas.positions(state)
    if axis.size == 1 or not clause.is_due(state.step):
        return state
    if not clause.centralization.push_sum:
        mixed, state = _mixed(axis, state, here)
        return replicas.moved(state, mixed)
    before = replicas.push_sums(axis, state)
    y = [
        p.numerator + (x - p.numerator * (1 / p.weight))
        for p, x in zip(before, here, strict=True)
    ]
    y, state = _mixed(axis, state, y)
    weights = _mixed_weights(axis, clause, state.step, before)
    pushed = [Pushed(v, np.asarray(w)) for v, w in zip(y, weights, strict=True)]
    state = replicas.with_push_sums(axis, state, pushed)
    return replicas.moved(state, [p.numerator * (1 / p.weight) for p in pushed])


def moved(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Puts the numerators of push-sum where the members are."""
    if not axis.at(state.step).centralization.push_sum:
        return state
    pairs = zip(replicas.push_sums(axis, state), replicas.positions(state), strict=True)
    pushed = [held._replace(numerator=x * held.weight) for held, x in pairs]
    return replicas.with_push_sums(axis, state, pushed)


def _mixed(
    axis: ReplicaAxis, state: ReferenceState, values: list[Vector]
) -> tuple[list[Vector], ReferenceState]:
    def mix(
        clause: Clause, leaves: list[Leaves], memory: list[Any], meeting: Meeting
    ) -> tuple[list[Leaves], list[Any]]:
        form = clause.codec(state.step)
        sent, memory = compression.push(form, leaves, memory, meeting)
        return mixture(clause.centralization, form, leaves, sent, meeting.count), memory

    return exchange.over_groups(axis, state, values, mix)


def _mixed_weights(
    axis: ReplicaAxis, clause: Clause, step: int, before: tuple[Pushed, ...]
) -> list[Array]:
    table = rows(clause.centralization.topology, axis.size, clause.count(step))
    weights = [p.weight for p in before]
    for group in axis.groups:
        old = [[before[i].weight] for i in group]
        for i, row in zip(group, table, strict=True):
            weights[i] = _plain(row, old, old[group.index(i)])[0]
    return weights


def mixture(
    who: Gossip, form: Any, values: list[Leaves], sent: list[Leaves], number: int
) -> list[Leaves]:
    """Returns what each member has after mixing number `number`.

    Args:
        who: The topology.
        form: The codec.
        values: The members' own values.
        sent: C of them.
        number: How many mixings there were before.

    Example:
        >>> v = [[np.array([1.0])], [np.array([3.0])]]
        >>> mixture(Gossip("ring"), NoCompression(), v, v, 0)
        [[array([2.])], [array([2.])]]
    """
    is_plain = isinstance(form, NoCompression)
    if who.topology == "complete":
        means = [average(column) for column in zip(*sent, strict=True)]
        if is_plain:
            return [means] * len(values)
        return [_moved(x, means, c) for x, c in zip(values, sent, strict=True)]
    table = rows(who.topology, len(values), number)
    if is_plain:
        pairs = zip(table, values, strict=True)
        return [_plain(row, values, own) for row, own in pairs]
    triples = zip(table, values, sent, strict=True)
    return [_by_codec(row, sent, own, c) for row, own, c in triples]


def _plain(row: Row, values: list[Leaves], own: Leaves) -> Leaves:
    mixed = [row.own * leaf for leaf in own]
    for peer, weight in row.peers:
        mixed = _added(mixed, weight, values[peer])
    return mixed


def _by_codec(row: Row, sent: list[Leaves], own: Leaves, sent_own: Leaves) -> Leaves:
    mixed = own
    for peer, weight in row.peers:
        mixed = _added(mixed, weight, sent[peer])
    return _added(mixed, -(1 - row.own), sent_own)


def _added(leaves: Leaves, weight: float, others: Leaves) -> Leaves:
    return [a + weight * b for a, b in zip(leaves, others, strict=True)]


def _moved(values: Leaves, means: Leaves, sent: Leaves) -> Leaves:
    return [x + m - c for x, m, c in zip(values, means, sent, strict=True)]
