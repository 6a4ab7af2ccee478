"""`elastic(every, rho)`: the copies and a centre pull at each other.

The centre c is x at the beginning. At the end of every H-th step, with the old values
on the right,
    m   = mean_i (x_i - c)
    x_i <- x_i - (rho/N) (x_i - c)
    c   <- c + rho m

Where an axis outside moves the members after that, c is found anew when they are next
due, as the mean of all x_i before the pull; the old one would pull them back.

Limits: where values cross as they are, sum_i x_i + c is conserved by each pull.

Zhang, Choromanska and LeCun, "Deep learning with elastic averaging SGD", arXiv
1412.6651, 2015; its beta is rho.
"""

from typing import NamedTuple

from diamond.dsl.vocabulary import Elastic
from diamond.runtime.engines.reference import exchange, replicas
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Centre(NamedTuple):
    """What one member remembers."""

    centre: Vector  # [parameters]: c, the same at all members along the axis
    is_old: bool  # whether the members have been moved since


def start(rule: Elastic, x: Vector) -> Centre:
    """Returns a centre at x."""
    return Centre(x, False)


def parameters(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Lets members and centre pull at each other, if they are due."""
    clause, here = axis.at(state.step), replicas.positions(state)
    if not clause.is_due(state.step):
        return state
    rho = clause.consistency.rho
    memory = replicas.rule_memory(axis, state)
    ways = [x - held.centre for x, held in zip(here, memory, strict=True)]
    means, state = exchange.mean_over(axis, state, ways)
    pairs = [
        _pulled(rho, axis.size, x, held, m)
        for x, held, m in zip(here, memory, means, strict=True)
    ]
    state = replicas.with_rule_memory(axis, state, [held for _, held in pairs])
    return replicas.moved(state, [x for x, _ in pairs])


def moved(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Remembers that the members were moved away."""
    memory = replicas.rule_memory(axis, state)
    old = [held._replace(is_old=True) for held in memory]
    return replicas.with_rule_memory(axis, state, old)


def _pulled(
    rho: float, size: int, x: Vector, held: Centre, mean: Vector
) -> tuple[Vector, Centre]:
    """Returns a member and its centre after the pull; `mean` is that of all x_i - c."""
    c, m = held.centre, mean
    if held.is_old:
        c, m = c + m, 0 * m
    return x - rho * (1 / size) * (x - c), Centre(c + rho * m, False)
