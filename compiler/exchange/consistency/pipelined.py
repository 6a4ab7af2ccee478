"""Pipelined: the mean of the gradients is used some steps after it was formed.

    m(t) = mean of g_i(t)
    g <- m(t - D)                          0 for t < D

so that a step's exchange may run while the next steps compute. All copies apply the
same delayed mean and stay equal.

Bill: one mean of the gradients a step, and D of them in memory.
Limits: the gradients of `synchronous`, D steps later.
Traps: the delay narrows what is stable: at curvature h a learning rate of less than
(2/h) sin(pi / (4 D + 2)), half of that of `synchronous` for D = 1. Its width K in the
paper is D + 1; the default D = 1 is the paper's K = 2. Where its phase of a schedule
ends, the D means that are on their way are dropped: nobody uses those gradients.

References: Y. Li et al., Pipe-SGD: A Decentralized Pipelined SGD Framework for
Distributed Deep Net Training, arXiv 1811.03619, 2018.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Flight, Leaves, Rule


class Queue(NamedTuple):
    """Means on their way.

    Attributes:
        means: D times leaves like the mean, the oldest first.
    """

    means: tuple[Leaves, ...]


FLIGHT = Flight(
    lift=lambda state: (state.means, state._replace(means=())),
    put=lambda means, state: state._replace(means=means),
    use=lambda gradients, mean, state: (mean, state),
)


def pipelined(*, delay: int = 1) -> Rule:
    """Returns the rule that uses a mean `delay` steps after it was formed.

    Args:
        delay: Steps from forming a mean to using it, at least 1.

    Example:
        >>> rule = pipelined(delay=1)
        >>> state = rule.init([], [jnp.float32(0)])
        >>> rule.accept([], [jnp.float32(7)], [], state)[0]
        [Array(0., dtype=float32)]
    """

    def init(params: Leaves, mean: Leaves) -> Queue:
        return Queue(tuple(jax.tree.map(jnp.zeros_like, mean) for _ in range(delay)))

    def accept(
        gradients: Leaves, mean: Leaves, x: Leaves, state: Queue
    ) -> tuple[Leaves, Queue]:
        oldest, *others = state.means
        return oldest, Queue((*others, mean))

    ago = "1 step ago" if delay == 1 else f"{delay} steps ago"
    return Rule(
        subject="gradients",
        every=1,
        init=init,
        offer=lambda gradients, x, state: gradients,
        accept=accept,
        equations=("m = mean[g]", f"g <- m of {ago}, 0 at first"),
        flight=FLIGHT,
    )
