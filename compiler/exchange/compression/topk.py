"""Top-k: only the largest values of each tensor cross, with their places.

    p   = v + e
    c   = the k largest |p|, ties to the lower place; 0 elsewhere
    y   = (1/N) sum_i c_i
    e  <- p - c

with k = density times the tensor's values, rounded, and 1 at least.

Bill: k values in their own type and k places of 4 bytes, to everyone: 8k(N-1) bytes a
member in fp32. That is less than a dense mean only where density < 1/N. Memory: one
copy of the values for e.
Limits: density 1 is the plain mean. What is sent and what is kept add up to the value.
Vectors cross as they are.

References: S. Stich, J.-B. Cordonnier, M. Jaggi, Sparsified SGD with Memory, arXiv
1809.07599, 2018; D. Alistarh et al., The Convergence of Sparsified Gradient Methods,
arXiv 1809.10505, 2018.
"""

from typing import NamedTuple

from diamond.compiler.exchange.contract import Compressor, Leaves, skips_vectors
from diamond.compiler.exchange.leafwise import owed, zeros_like
from diamond.compiler.exchange.sparse import each_emptied, largest_of, mean_of_taken
from diamond.compiler.exchange.wire import Wire

APART = "members choose places of their own, so nothing adds up on the way"


class TopKState(NamedTuple):
    """`lost` is like the values, this member's own; None without feedback."""

    lost: Leaves | None


def topk(*, density: float = 0.01, feedback: bool = True) -> Compressor:
    """Returns the mean of each member's largest values.

    Args:
        density: Share of each tensor's values that cross.
        feedback: Keep what did not cross and add it the next time.

    Example:
        >>> topk(density=0.1).route
        'gather'
    """

    def init(values: Leaves) -> TopKState:
        return TopKState(zeros_like(values) if feedback else None)

    def mean(
        values: Leaves, state: TopKState, wire: Wire, turn: int
    ) -> tuple[Leaves, TopKState]:
        del turn
        wanted = owed(values, state.lost)
        places = largest_of(wanted, density)
        lost = each_emptied(wanted, places) if feedback else None
        return mean_of_taken(wanted, places, wire), TopKState(lost)

    chosen = f"the largest {density:g} of each tensor, 0 elsewhere"
    forgets = (f"{{y}} = mean of c({{x}}), c(p) = {chosen}",)
    keeps = (
        f"c(p) = {chosen}",
        "{y} = mean of c({x} + e)",
        "e <- {x} + e - c({x} + e)",
    )
    return Compressor(
        init=init,
        mean=mean,
        equations=keeps if feedback else forgets,
        route="gather",
        reason=APART,
        skips=skips_vectors,
    )
