"""`powersgd(rank)`: the factors of an approximation of low rank cross.

Each coded leaf is a matrix M [n, m], folded where n + m is least. With
r = min(rank, n, m), Q [m, r] is the same at all members, random at first:

    M_i  = v_i + e_i
    P    = mean_i M_i Q,        P^ = the columns of P made orthonormal
    Q   <- mean_i M_i^T P^, but for the columns where P^ is 0
    mean = P^ Q^T
    e_i <- M_i - P^ (M_i^T P^)^T

This is one step of the power method for the mean of the M_i, begun where the last one
stopped; it is exact where that mean has rank r or less. Both means are sums of what
each sends, sum_i x_i (1/N). A leaf is dense if 2 r (n + m) >= n m.

Vogels, Karimireddy and Jaggi, "PowerSGD: Practical low-rank gradient compression for
distributed optimization", arXiv 1905.13727, 2019. A column of P^ is 0 where the mean
has too low a rank; that of Q is kept then, or it would be 0 for good. What a member
keeps is measured against its own projection, not the mean's; both give the same means
in exact arithmetic, but the paper's lets what the members differ by grow without bound.
"""

import math
from typing import NamedTuple

import numpy as np

from diamond.dsl.vocabulary import PowerSgd
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.matrices import gram_schmidt
from diamond.runtime.engines.reference.meeting import Array, average
from diamond.runtime.engines.reference.noise import Use


class Factors(NamedTuple):
    """What one member remembers of one leaf."""

    q: Array  # [m, r]: Q, the same at all members
    error: Array | None  # [the leaf's shape]: e_i; None without feedback


def pays(term: PowerSgd, shape: tuple[int, ...]) -> bool:
    """Says whether the factors are less than half as large as the matrix.

    Example:
        >>> pays(PowerSgd(rank=1), (8, 8)), pays(PowerSgd(rank=2), (8, 8))
        (True, False)
    """
    n, m = folded(shape)
    return 2 * min(term.rank, n, m) * (n + m) < n * m


def folded(shape: tuple[int, ...]) -> tuple[int, int]:
    """Returns n and m of the matrix that a leaf is folded into, where n + m is least.

    Example:
        >>> folded((3, 4, 8)), folded((3, 7))
        ((12, 8), (3, 7))
    """
    cuts = [(math.prod(shape[:k]), math.prod(shape[k:])) for k in range(1, len(shape))]
    return min(cuts, key=sum)


def begin(term: PowerSgd, leaf: Array, place: Place) -> Factors:
    """Returns a random Q and no error."""
    n, m = folded(leaf.shape)
    r = min(term.rank, n, m)
    seed = place.seed_of_start(Use.FACTORS)
    u = noise.uniform(seed, 0, 0, m * r).astype(leaf.dtype).reshape(m, r)
    return Factors(2 * u - 1, np.zeros_like(leaf) if term.feedback else None)


def exchange(
    _: PowerSgd, values: list[Array], memories: list[Factors], __: Place
) -> tuple[Array, list[Factors]]:
    """Returns the mean of one leaf, and what each member remembers of it."""
    shape, q = values[0].shape, memories[0].q
    matrices = []
    for v, memory in zip(values, memories, strict=True):
        asked = v if memory.error is None else v + memory.error
        matrices.append(asked.reshape(folded(shape)))
    p, sides = factorise(matrices, q)
    q = np.where(p.any(axis=0), average(sides), q)
    left = [Factors(q, None)] * len(values)
    if memories[0].error is not None:
        pairs = zip(matrices, sides, strict=True)
        left = [Factors(q, (m - p @ side.T).reshape(shape)) for m, side in pairs]
    return (p @ q.T).reshape(shape), left


def factorise(matrices: list[Array], q: Array) -> tuple[Array, list[Array]]:
    """Returns P^, and for each matrix M_i its own M_i^T P^.

    Example:
        >>> p, sides = factorise([np.array([[0.0, 0.0], [3.0, 4.0]])], np.ones((2, 1)))
        >>> p @ sides[0].T
        array([[0., 0.],
               [3., 4.]])
    """
    p = gram_schmidt(average([matrix @ q for matrix in matrices]))
    return p, [matrix.T @ p for matrix in matrices]
