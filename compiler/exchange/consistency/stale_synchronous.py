"""Stale synchronous: a copy's gradients reach the others late, within a bound.

    p_i <- p_i + g_i
    r_i = p_i, p_i <- 0 where copy i sends, else 0
    g <- mean of r_i + (g_i - r_i) / N

A copy that sends draws how many steps it will be silent (0 .. bound), and sends then
all that it gathered. Each copy sees its own gradients at once, so the copies differ by
what is on its way and never become equal.

Bill: one mean of the gradients a step, the silent copies' being zeros; one copy of the
gradients in memory. The clocks are virtual: the rule gives the trajectory of a bounded
delay under a seeded law, in lock step.
Limits: `bound = 0` is `synchronous`.
Traps: with an optimizer that scales its gradients (Adam), a late sum is not what the
steps themselves would have been.

References: Q. Ho et al., More Effective Distributed ML via a Stale Synchronous
Parallel Parameter Server, NIPS 2013: reads see all updates older than the bound, and
the reader's own. There updates add up at a server; here the gradients do, before each
copy's own optimizer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Leaves, Rule
from diamond.compiler.exchange.delays import Law
from diamond.compiler.exchange.wire import Wire


class Pending(NamedTuple):
    """What one copy has not sent.

    Attributes:
        clock: `int32[]`, steps so far.
        wait: `int32[]`, steps until it sends.
        gradients: Like the gradients, their sum since it sent.
    """

    clock: jax.Array
    wait: jax.Array
    gradients: Leaves


def stale_synchronous(*, delays: Law, wire: Wire) -> Rule:
    """Returns the rule under which copies are late, within a bound.

    Args:
        delays: Law of the steps for which a copy is silent, cut off at the bound.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.delays import law_of
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> law = law_of(law="uniform", mean=1.0, seed=0, most=3)
        >>> stale_synchronous(delays=law, wire=mesh_wire("host", 4)).is_shared
        False
    """

    def init(params: Leaves, mean: Leaves) -> Pending:
        zeros = jax.tree.map(jnp.zeros_like, params)
        return Pending(jnp.int32(0), jnp.int32(0), zeros)

    def offer(gradients: Leaves, x: Leaves, state: Pending) -> Leaves:
        def sent(g: jax.Array, pending: jax.Array) -> jax.Array:
            return jnp.where(state.wait == 0, pending + g, 0)

        return jax.tree.map(sent, gradients, state.gradients)  # type: ignore[no-any-return]

    def accept(
        gradients: Leaves, mean: Leaves, x: Leaves, state: Pending
    ) -> tuple[Leaves, Pending]:
        sent = offer(gradients, x, state)
        given = jax.tree.map(
            lambda m, g, r: m + (g - r) * (1 / wire.size), mean, gradients, sent
        )
        return given, _waiting(gradients, state)

    def _waiting(gradients: Leaves, state: Pending) -> Pending:
        sends = state.wait == 0
        left = jax.tree.map(
            lambda g, p: jnp.where(sends, 0, p + g), gradients, state.gradients
        )
        drawn = delays.draw(state.clock, wire)
        wait = jnp.where(sends, drawn, state.wait - 1)
        return Pending(state.clock + 1, wait, left)

    return Rule(
        subject="gradients",
        every=1,
        init=init,
        offer=offer,
        accept=accept,
        equations=(
            "p <- p + g",
            "r = p, p <- 0 after w steps without sending, else r = 0",
            f"w is drawn anew when the copy sends: {delays.name}",
            "m = mean[r]",
            f"g <- m + (g - r) / {wire.size}",
        ),
        is_shared=False,
    )
