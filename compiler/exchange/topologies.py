"""Topologies: who hears whom in each round of a gossip, as data.

A round is one mixing matrix W: member i gets w_ii x_i + sum_j w_ij x_j. Its messages
are hops, in each of which a member sends at most once and hears at most once.

    complete      1 round: everyone, 1/N each
    ring          1 round: itself and both neighbours, 1/3 each
    chain         1 round: a line; j gives equal shares to itself and its neighbours
    exponential   ceil(log2 N) rounds r: half itself, half i - 2^r
    hypercube     log2 N rounds r: half itself, half i XOR 2^r
    pairs         N - 1 rounds of a tournament: half itself, half its partner

A row of W that adds up to 1 keeps equal copies equal; a column that does keeps their
mean. A chain has only the latter, since its ends have one neighbour, and so it needs
push-sum.

References: X. Lian et al., Can Decentralized Algorithms Outperform Centralized
Algorithms?, arXiv 1705.09056, 2017 (ring, spectral gap); M. Assran et al., Stochastic
Gradient Push, arXiv 1811.10792, 2019 (exponential).
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from diamond.compiler.exchange.centralization.tree import levels_of
from diamond.compiler.plan import Pairs

_NEGLIGIBLE = 1e-9

Source = Callable[[int], int]


class Hop(NamedTuple):
    """One message a member at most: pairs of sender and receiver, weights by receiver.

    Attributes:
        weights: What each member multiplies with what it hears.
        pairs: Who sends to whom.
    """

    weights: tuple[float, ...]
    pairs: Pairs


class Round(NamedTuple):
    """One mixing.

    Attributes:
        own: What each member multiplies with its own value.
        hops: What it hears, in the order in which it is added.
        is_mean: Whether everyone gets the mean, so that no hops are needed for it.
    """

    own: tuple[float, ...]
    hops: tuple[Hop, ...]
    is_mean: bool = False


@functools.cache
def rounds_of(topology: str, size: int) -> tuple[Round, ...]:
    """Returns the rounds of a topology over so many members, as a cycle.

    Raises:
        ValueError: If the topology does not exist for so many members.

    Example:
        >>> rounds_of("hypercube", 2)[0].own
        (0.5, 0.5)
        >>> [round.hops[0].pairs[0] for round in rounds_of("exponential", 4)]
        [(3, 0), (2, 0)]
    """
    if size == 1:
        return (Round((1.0,), ()),)
    return _TOPOLOGIES[topology](size)


def matrix_of(mixing: Round) -> np.ndarray:
    """Returns the mixing matrix W of a round, `f64[N, N]`.

    Example:
        >>> matrix_of(rounds_of("ring", 2)[0]).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    matrix = np.diag(mixing.own)
    for hop in mixing.hops:
        for sender, receiver in hop.pairs:
            matrix[receiver, sender] = hop.weights[receiver]
    return matrix


@functools.cache
def spectral_gap(topology: str, size: int) -> float:
    """Returns 1 - |lambda_2| of the mixing: 1 is the mean at once, 0 is never.

    Of several rounds it is that of their product, spread over them evenly.

    Example:
        >>> spectral_gap("complete", 4), round(spectral_gap("ring", 4), 3)
        (1.0, 0.667)
    """
    rounds = rounds_of(topology, size)
    product = np.eye(size)
    for mixing in rounds:
        product = matrix_of(mixing) @ product
    second = float(np.sort(np.abs(np.linalg.eigvals(product)))[-2:-1].sum())
    left = second if second > _NEGLIGIBLE else 0.0
    share: float = left ** (1 / len(rounds))
    return 1.0 - share


def _mixing(size: int, own: float, *sources: Source) -> Round:
    """Returns the round in which each member hears from its sources, alike."""
    share = (1 - own) / len(sources)
    hops = [
        Hop((share,) * size, tuple((source(i), i) for i in range(size)))
        for source in sources
    ]
    return Round((own,) * size, tuple(hops))


def _behind(distance: int, size: int) -> Source:
    return lambda i: (i - distance) % size


def _across(distance: int) -> Source:
    return lambda i: i ^ distance


def _complete(size: int) -> tuple[Round, ...]:
    sources = [_behind(distance, size) for distance in range(1, size)]
    return (_mixing(size, 1 / size, *sources)._replace(is_mean=True),)


def _ring(size: int) -> tuple[Round, ...]:
    if size == 2:
        return _hypercube(2)
    return (_mixing(size, 1 / 3, _behind(1, size), _behind(-1, size)),)


def _chain(size: int) -> tuple[Round, ...]:
    if size == 2:
        return _hypercube(2)
    share = [1 / (1 + (j > 0) + (j < size - 1)) for j in range(size)]
    rightward = tuple((j, j + 1) for j in range(size - 1))
    leftward = tuple((j + 1, j) for j in range(size - 1))
    hops = (
        Hop((0.0, *share[:-1]), rightward),
        Hop((*share[1:], 0.0), leftward),
    )
    return (Round(tuple(share), hops),)


def _exponential(size: int) -> tuple[Round, ...]:
    distances = [2**r for r in range((size - 1).bit_length())]
    return tuple(_mixing(size, 1 / 2, _behind(d, size)) for d in distances)


def _hypercube(size: int) -> tuple[Round, ...]:
    levels = levels_of(size, "topology = hypercube")
    return tuple(_mixing(size, 1 / 2, _across(distance)) for distance, _ in levels)


def _pairs(size: int) -> tuple[Round, ...]:
    if size % 2:
        raise ValueError(
            f"`topology = pairs` needs an even number of members, not {size}"
        )
    return tuple(_mixing(size, 1 / 2, _partner(size, r)) for r in range(size - 1))


def _partner(size: int, r: int) -> Source:
    """The circle method: the last member stays, the others move round by round."""

    def source(i: int) -> int:
        if i == size - 1:
            return r
        other = (2 * r - i) % (size - 1)
        return size - 1 if other == i else other

    return source


_TOPOLOGIES: dict[str, Callable[[int], tuple[Round, ...]]] = {
    "complete": _complete,
    "ring": _ring,
    "chain": _chain,
    "exponential": _exponential,
    "hypercube": _hypercube,
    "pairs": _pairs,
}
