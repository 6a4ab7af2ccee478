"""Deep gradient compression: top-k of sums of momentum, which waits for its turn.

    u  <- momentum u + v
    w  <- w + u
    y   = (1/N) sum_i c_i     c = the k largest |w|, ties to the lower place
    u, w <- 0 at this member's own places

Each member's momentum is worked out before sending, so that a value that waits grows
as it would under momentum; what was sent forgets its momentum (momentum factor
masking). Vectors, and what is excluded, cross as they are, and the mean gets the same
momentum where it arrives, or they would move by less than the other tensors:

    y  <- u <- momentum u + y

The optimizer must have no momentum of its own. `warmup` makes the compiler run stages
of density 1/4, 1/16, ... first, which share the state.

Bill: k values in their own type and k places of 4 bytes, to everyone: 8k(N-1) bytes a
member in fp32. Memory: two copies of the values, for u and w; one of what crosses as
it is.
Limits: of tensors that do not cross as they are, density 1 is the plain mean whatever
the momentum, since all momentum is forgotten; momentum 0 is top-k with feedback.

References: Y. Lin et al., Deep Gradient Compression: Reducing the Communication
Bandwidth for Distributed Training, arXiv 1712.01887, 2018. We choose exactly k values
where the paper estimates a threshold from a sample, and leave gradient clipping to the
optimizer.
"""

from typing import NamedTuple

import jax

from diamond.compiler.exchange.compression.topk import APART
from diamond.compiler.exchange.contract import Compressor, Leaves, skips_vectors
from diamond.compiler.exchange.leafwise import owed, zeros_like
from diamond.compiler.exchange.sparse import each_emptied, largest_of, mean_of_taken
from diamond.compiler.exchange.symbols import weighted
from diamond.compiler.exchange.wire import Wire


class DgcState(NamedTuple):
    """`momentum` and `waiting` are like the values, this member's own."""

    momentum: Leaves
    waiting: Leaves


def dgc(*, density: float = 0.001, momentum: float = 0.9) -> Compressor:
    """Returns the mean of each member's largest sums of momentum.

    Args:
        density: Share of each tensor's values that cross.
        momentum: The momentum of each member.

    Example:
        >>> dgc(density=0.1).route
        'gather'
    """

    def init(values: Leaves) -> DgcState:
        return DgcState(zeros_like(values), zeros_like(values))

    def mean(
        values: Leaves, state: DgcState, wire: Wire, turn: int
    ) -> tuple[Leaves, DgcState]:
        del turn
        speed = jax.tree.map(lambda u, v: momentum * u + v, state.momentum, values)
        waiting = owed(speed, state.waiting)
        places = largest_of(waiting, density)
        left = DgcState(each_emptied(speed, places), each_emptied(waiting, places))
        return mean_of_taken(waiting, places, wire), left

    equations = (
        f"u <- {weighted((momentum, 'u'), (1, '{x}'))}",
        "w <- w + u",
        f"{{y}} = mean of c, c = the largest {density:g} of each tensor of w",
        "u, w <- 0 where c was taken",
    )
    return Compressor(
        init,
        mean,
        equations,
        route="gather",
        reason=APART,
        skips=skips_vectors,
        dense_momentum=momentum,
    )
