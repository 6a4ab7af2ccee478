"""Whom each member hears in mixing number c, and with what weight.

`complete`      all: 1/N each
`ring`          N = 2: own 1/2, other 1/2; N > 2: own 1/3, i - 1 and i + 1 each 1/3
`exponential`   own 1/2, 1/2 of (i - 2^r) mod N, r = c mod ceil(log2 N)
`hypercube`     own 1/2, 1/2 of i XOR 2^r, r = c mod log2 N; N = 2^k
`pairs`         own 1/2, 1/2 of the opponent in round r = c mod (N - 1) of a circle
                tournament: N - 1 meets r, any other i meets j with i + j = 2 r
                mod (N - 1); N is even
`chain`         1/(deg_j + 1) of j = i - 1, i, i + 1, where deg_j is the number of
                neighbours of j in a line: what each member gives away sums to 1

The rows of all but `chain` sum to 1, and so do the columns of all.
"""

from collections.abc import Callable
from typing import NamedTuple


class Row(NamedTuple):
    """What one member mixes.

    Attributes:
        own: The weight of its own value.
        peers: Pairs of a peer and its weight, in the order of the sum.
    """

    own: float
    peers: tuple[tuple[int, float], ...]


def rows(topology: str, size: int, number: int) -> list[Row]:
    """Returns what each member mixes in mixing number `number`.

    Example:
        >>> rows("hypercube", 4, 1)[1]
        Row(own=0.5, peers=((3, 0.5),))
    """
    if size == 1:
        return [Row(1.0, ())]
    return [TOPOLOGIES[topology](size, number, i) for i in range(size)]


def _complete(size: int, number: int, i: int) -> Row:
    others = tuple((j, 1 / size) for j in range(size) if j != i)
    return Row(1 / size, others)


def _ring(size: int, number: int, i: int) -> Row:
    if size == 2:
        return _half_of(1 - i)
    return Row(1 / 3, (((i - 1) % size, 1 / 3), ((i + 1) % size, 1 / 3)))


def _exponential(size: int, number: int, i: int) -> Row:
    rounds = (size - 1).bit_length()
    return _half_of((i - 2 ** (number % rounds)) % size)


def _hypercube(size: int, number: int, i: int) -> Row:
    dims = size.bit_length() - 1
    return _half_of(i ^ 2 ** (number % dims))


def _pairs(size: int, number: int, i: int) -> Row:
    last = size - 1
    turn = number % last
    if i == last:
        return _half_of(turn)
    opponent = (2 * turn - i) % last
    return _half_of(last if opponent == i else opponent)


def _chain(size: int, number: int, i: int) -> Row:
    near = [j for j in (i - 1, i + 1) if 0 <= j < size]
    given = {j: 1 / (3 if 0 < j < size - 1 else 2) for j in (i, *near)}
    return Row(given[i], tuple((j, given[j]) for j in near))


def _half_of(peer: int) -> Row:
    return Row(0.5, ((peer, 0.5),))


TOPOLOGIES: dict[str, Callable[[int, int, int], Row]] = {
    "complete": _complete,
    "ring": _ring,
    "exponential": _exponential,
    "hypercube": _hypercube,
    "pairs": _pairs,
    "chain": _chain,
}
