"""Elastic: copies and a centre pull at each other, and never become equal.

    at every H-th step:   m = mean of (x_i - c)
                          x_i <- x_i - (rho/N) (x_i - c)
                          c <- c + rho m

with the values before the pull on the right. Both pulls are equal, so the exchange
conserves the sum of all x_i and c. Where an axis further out has moved the copies, the
centre has to follow, or it would pull them back: the next pull begins with

    c <- mean of x_i

Evaluation, as everywhere, uses the mean of the copies, and not the paper's centre.

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
from diamond.compiler.exchange.symbols import weighted
from diamond.compiler.exchange.wire import Wire

_FOLLOWS = "c <- c + m, m <- 0 where an axis further out has moved x since"


class ElasticState(NamedTuple):
    """What a copy keeps.

    Attributes:
        centre: Like the parameters.
        is_left: `bool[]`, whether the copies have been moved away from the centre;
            None where there is no axis further out to do so.
    """

    centre: Leaves
    is_left: jax.Array | None = None


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
        ([3.0], ElasticState(centre=[3.0], is_left=None))
    """
    pull = rho * (1 / wire.size)
    can_be_left = wire.outside is not None

    def begin(params: Leaves) -> ElasticState:
        return ElasticState(params, jnp.bool(False) if can_be_left else None)

    def offer(params: Leaves, x: Leaves, state: ElasticState) -> Leaves:
        away: Leaves = jax.tree.map(lambda x, c: x - c, params, state.centre)
        return away

    def accept(
        params: Leaves, mean: Leaves, x: Leaves, state: ElasticState
    ) -> tuple[Leaves, ElasticState]:
        centre, m = _followed(state, mean)
        pulled = jax.tree.map(lambda x, c: x - pull * (x - c), params, centre)
        centre = jax.tree.map(lambda c, m: c + rho * m, centre, m)
        left = None if state.is_left is None else jnp.zeros_like(state.is_left)
        return pulled, ElasticState(centre, left)

    def follow(state: ElasticState) -> ElasticState:
        left = None if state.is_left is None else jnp.ones_like(state.is_left)
        return ElasticState(state.centre, left)

    return Rule(
        subject="parameters",
        every=every,
        init=lambda params, mean: begin(jax.tree.map(jnp.copy, params)),
        offer=offer,
        accept=accept,
        equations=(
            "m = mean[x - c]",
            *([_FOLLOWS] if can_be_left else []),
            f"x <- x - {rho:g}/{wire.size} (x - c)",
            f"c <- {weighted((1, 'c'), (rho, 'm'))}",
        ),
        begin=lambda params, state: begin(params),
        follow=follow,
    )


def _followed(state: ElasticState, mean: Leaves) -> tuple[Leaves, Leaves]:
    """Returns the centre, and the copies' mean from there, after it has followed."""
    left = state.is_left
    if left is None:
        return state.centre, mean
    whole = jax.tree.map(lambda m: jnp.where(left, m, 0), mean)
    centre = jax.tree.map(lambda c, m: c + m, state.centre, whole)
    return centre, jax.tree.map(lambda m, w: m - w, mean, whole)
