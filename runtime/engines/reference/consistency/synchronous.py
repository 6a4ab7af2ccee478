"""`synchronous`: gradients are averaged over the axis at every step.

    g_i <- mean_j g_j

With equal members that stay equal it is training on the whole batch.
"""

from collections.abc import Sequence

from diamond.runtime.engines.reference import exchange
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.state import ReferenceState, Vector


def gradients(
    axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]
) -> Results:
    """Returns each member's mean over its group."""
    return exchange.mean_over(axis, state, given)
