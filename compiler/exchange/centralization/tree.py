"""Tree: a sum by recursive doubling, between members whose distance doubles.

    v_i <- v_i + v_j,  j = i XOR 2^l,  at the levels l = 0, 1, ..., log2 N - 1

Bill, for n bytes: n log2 N, in log2 N hops: fewest hops, so best for small messages.
Limits: N = 1 is the identity. Every member gets the same bits, since a + b = b + a.
Trap: N must be a power of two.

References: R. Thakur, R. Rabenseifner, W. Gropp, Optimization of Collective
Communication Operations in MPICH, IJHPCA 2005.
"""

from collections.abc import Iterator

import jax

from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Pairs


def tree_sum(vector: jax.Array, wire: Wire) -> jax.Array:
    """Returns the sum over the members, `[n]`.

    Args:
        vector: `[n]`, this member's.
        wire: The axis.

    Raises:
        ValueError: If the number of members is not a power of two.

    Example:
        >>> from diamond.compiler.exchange.wire import Tape
        >>> tape = Tape()
        >>> tree_sum(jax.numpy.ones(8), tape.wire("host", 4)).shape
        (8,)
        >>> [message.elements for message in tape.messages]
        [8, 8]
    """
    for _, partners in levels_of(wire.size, "tree"):
        vector = vector + wire.send(vector, partners)
    return vector


def levels_of(size: int, who: str) -> Iterator[tuple[int, Pairs]]:
    """Yields the distance of each level, and the pairs of members that meet at it.

    Args:
        size: Members along the axis.
        who: What takes them pair by pair, for the message of the error.

    Raises:
        ValueError: If the number of members is not a power of two.

    Example:
        >>> [distance for distance, _ in levels_of(8, "tree")]
        [1, 2, 4]
    """
    if size & (size - 1):
        raise ValueError(f"`{who}` needs a power of two of members, not {size}")
    distance = 1
    while distance < size:
        yield distance, tuple((i, i ^ distance) for i in range(size))
        distance *= 2
