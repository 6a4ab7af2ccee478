"""Elastic: copies and a centre pull at each other, and never become equal.

    at every H-th step:   m = mean of (x_i - c)
                          x_i <- x_i - (rho/N) (x_i - c)
                          c <- c + rho m

with the values before the pull on the right. Both pulls are equal, so the exchange
conserves the sum of all x_i and c.

Bill: one mean of the parameters every H steps; one copy of the parameters for c.
Limits: `rho = 0` leaves the copies alone.
Traps: at curvature h and learning rate e it is stable only where e h < 2, rho < 2 and
2 rho/N < (2 - e h)(2 - rho): rho <= 1 alone does not suffice.

References: S. Zhang, A. Choromanska, Y. LeCun, Deep learning with Elastic Averaging
SGD, arXiv 1412.6651, 2014, its synchronous form; rho = 0.9 is its beta, rho/N its
alpha. There a step and a pull are one; here the pull follows the step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Leaves, Rule
from diamond.compiler.exchange.wire import Wire


class ElasticState(NamedTuple):
    """`centre` is like the parameters."""

    centre: Leaves


def elastic(*, every: int = 10, rho: float = 0.9, wire: Wire) -> Rule:
    """Returns the rule by which copies and a centre pull at each other.

    Args:
        every: Steps between two pulls.
        rho: Total pull on the centre.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> rule = elastic(every=5, rho=0.5, wire=mesh_wire("host", 2))
        >>> rule.accept([4.0], [6.0], [0.0], ElasticState([0.0]))
        ([3.0], ElasticState(centre=[3.0]))
    """
    pull = rho * (1 / wire.size)

    def offer(params: Leaves, x: Leaves, state: ElasticState) -> Leaves:
        away: Leaves = jax.tree.map(lambda x, c: x - c, params, state.centre)
        return away

    def accept(
        params: Leaves, mean: Leaves, x: Leaves, state: ElasticState
    ) -> tuple[Leaves, ElasticState]:
        pulled = jax.tree.map(lambda x, c: x - pull * (x - c), params, state.centre)
        centre = jax.tree.map(lambda c, m: c + rho * m, state.centre, mean)
        return pulled, ElasticState(centre)

    return Rule(
        subject="parameters",
        every=every,
        init=lambda params, mean: ElasticState(jax.tree.map(jnp.copy, params)),
        offer=offer,
        accept=accept,
        equations=(
            "m = mean[x - c]",
            f"x <- x - {rho:g}/{wire.size} (x - c)",
            f"c <- c + {rho:g} m",
        ),
        begin=lambda params, state: ElasticState(params),
    )
