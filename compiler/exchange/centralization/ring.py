"""Ring: a sum that travels around the members, a chunk from each at a time.

    chunk c of N is added up along the ring c+1, c+2, ..., c and passed on from there

Bill, for n bytes: 2n(N-1)/N, in 2(N-1) hops: as few bytes as there can be, and a hop's
latency for each member, twice.
Limits: N = 1 is the identity. Every member gets the same bits; the order in which
values are added differs from chunk to chunk.

References: P. Patarasuk, X. Yuan, Bandwidth Optimal All-reduce Algorithms for Clusters
of Workstations, JPDC 2009.
"""

import jax

from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Pairs


def ring_sum(vector: jax.Array, wire: Wire) -> jax.Array:
    """Returns the sum over the members, `[n]`, of vectors that N divides.

    Args:
        vector: `[n]`, this member's.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.wire import Tape
        >>> tape = Tape()
        >>> ring_sum(jax.numpy.ones(8), tape.wire("host", 4)).shape
        (8,)
        >>> [message.elements for message in tape.messages]
        [2, 2, 2, 2, 2, 2]
    """
    size, place = wire.size, wire.place()
    chunks = vector.reshape(size, -1)
    following: Pairs = tuple((i, (i + 1) % size) for i in range(size))
    partial = chunks[(place - 1) % size]
    for hop in range(1, size):
        partial = wire.send(partial, following) + chunks[(place - 1 - hop) % size]
    whole = chunks.at[place].set(partial)
    for hop in range(1, size):
        partial = wire.send(partial, following)
        whole = whole.at[(place - hop) % size].set(partial)
    return whole.reshape(-1)
