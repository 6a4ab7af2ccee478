"""`stale_synchronous(bound, delays)`: gradients reach the others up to `bound` late.

Each member keeps what it has not sent, p_i = 0 at first, and how many steps it waits
before it sends again, w_i = 0 at first. At step t
    p_i <- p_i + g_i
    if w_i = 0:  r_i = p_i;  p_i <- 0;  w_i <- a delay drawn at t, at most `bound`
    else:        r_i = 0;    w_i <- w_i - 1
    g_i <- mean_j r_j + (g_i - r_i) (1/N)
so that a member sees its own gradient at once, and those of others when they arrive.

Limit: bound = 0 is `synchronous`.

Ho et al., "More effective distributed ML via a stale synchronous parallel parameter
server", NIPS 2013. The clocks are virtual: all members take the same steps.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from diamond.dsl.vocabulary import StaleSynchronous
from diamond.runtime.engines.reference import exchange, replicas
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.consistency import delays
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.meeting import Array
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Unsent(NamedTuple):
    """What one member remembers."""

    pending: Vector  # [parameters]: p_i, the sum of the gradients not sent
    wait: Array  # []: w_i, an int32


def start(rule: StaleSynchronous, x: Vector) -> Unsent:
    """Returns nothing unsent, and no wait."""
    return Unsent(0 * x, np.zeros((), np.int32))


def gradients(
    axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]
) -> Results:
    """Returns what has arrived, and a member's own that others have not got."""
    clause = axis.at(state.step)
    rule = clause.consistency
    drawn = delays.drawn(rule.delays, rule.bound, axis, clause.age(state.step))
    turns = [
        _turn(held, g, delay)
        for held, g, delay in zip(
            replicas.rule_memory(axis, state), given, drawn, strict=True
        )
    ]
    state = replicas.with_rule_memory(axis, state, [held for _, held in turns])
    sent = [r for r, _ in turns]
    means, state = exchange.mean_over(axis, state, sent)
    own = [(g - r) * (1 / axis.size) for g, r in zip(given, sent, strict=True)]
    return [mean + rest for mean, rest in zip(means, own, strict=True)], state


def _turn(held: Unsent, g: Vector, delay: int) -> tuple[Vector, Unsent]:
    """Returns r_i, and what is held after it."""
    pending = held.pending + g
    if held.wait == 0:
        return pending, Unsent(0 * pending, np.asarray(delay, np.int32))
    return 0 * pending, Unsent(pending, np.asarray(held.wait - 1, np.int32))
