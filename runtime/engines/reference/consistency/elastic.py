"""`elastic(every, rho)`: the copies and a centre pull at each other.

The centre c is x at the beginning. At the end of every H-th step, with the old values
on the right,
    m   = mean_i (x_i - c)
    x_i <- x_i - (rho/N) (x_i - c)
    c   <- c + rho m

Limits: where values cross as they are, sum_i x_i + c is conserved.

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


def start(rule: Elastic, x: Vector) -> Centre:
    """Returns a centre at x."""
    return Centre(x)


def parameters(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Lets members and centre pull at each other, if they are due."""
    clause, here = axis.at(state.step), replicas.positions(state)
    if not clause.is_due(state.step):
        return state
    rho = clause.consistency.rho
    centres = [held.centre for held in replicas.rule_memory(axis, state)]
    ways = [x - c for x, c in zip(here, centres, strict=True)]
    means, state = exchange.mean_over(axis, state, ways)
    pulled = [Centre(c + rho * m) for c, m in zip(centres, means, strict=True)]
    state = replicas.with_rule_memory(axis, state, pulled)
    share = rho * (1 / axis.size)
    return replicas.moved(
        state, [x - share * way for x, way in zip(here, ways, strict=True)]
    )
