"""`pipelined(delay = D)`: gradients are averaged, and applied D steps later.

    queue of D means, zeros at the beginning
    g_i <- the oldest;  mean_j g_j joins the queue

Limit: it is `synchronous`, D steps later.

Li, Yu, Li, Avestimehr, Kim and Schwing, "Pipe-SGD: a decentralized pipelined SGD
framework for distributed deep net training", arXiv 1811.03619, 2018; its width K is
D + 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

from diamond.dsl.vocabulary import Pipelined
from diamond.runtime.engines.reference import exchange, replicas
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.state import ReferenceState, Vector


class Queue(NamedTuple):
    """What one member remembers."""

    means: tuple[Vector, ...]  # [delay][parameters]: the oldest first


def start(rule: Pipelined, x: Vector) -> Queue:
    """Returns a queue of zeros."""
    return Queue((0 * x,) * rule.delay)


def gradients(
    axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]
) -> Results:
    """Returns the oldest mean of each member's queue."""
    queues = replicas.rule_memory(axis, state)
    means, state = exchange.mean_over(axis, state, given)
    pairs = zip(queues, means, strict=True)
    longer = [Queue((*queue.means[1:], mean)) for queue, mean in pairs]
    state = replicas.with_rule_memory(axis, state, longer)
    return [queue.means[0] for queue in queues], state
