"""`gradiveq(slice, keep, every)`: coefficients in a basis of the mean's slices cross.

Each coded leaf is flattened, filled up with zeros, and cut into rows of K = slice
values, X [slices, K]. A basis U [K, d], d = keep, and a centre mu [K] are the same at
all members; U is random and orthonormal at first, mu is 0. With p_i = v_i + e_i,

every so many exchanges, the first included, p_i crosses as it is:
    mean = mean_i p_i, and its rows are X
    mu  <- the mean of the rows
    S    = (X - mu)^T (X - mu)
    U   <- GS(S U), twice: two steps of the power method for its principal axes,
           from U with the columns that are 0 replaced by those of the start
    e_i <- 0
else
    y    = mean_i (X_i - mu) U
    mean = y U^T + mu
    e_i <- p_i - ((X_i - mu) U U^T + mu)

where GS makes columns orthonormal; of X - mu divided by its largest value, whose
square may be too small for its type, which changes no direction. The mean is exact if
keep = slice and U has full rank. What crosses adds up: means are sum_i x_i (1/N).

Yu, Lin, Narra, Li, Li, Kim, Schwing, Annavaram and Avestimehr, "GradiVeQ: Vector
quantization for bandwidth-efficient gradient aggregation in distributed CNN training",
arXiv 1811.03617, 2018. The paper computes the principal axes exactly, from several
steps, and drops what they miss; here that is error feedback.
"""

from typing import Any, NamedTuple

import numpy as np

from diamond.dsl.vocabulary import Gradiveq
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.matrices import gram_schmidt
from diamond.runtime.engines.reference.meeting import Array, average
from diamond.runtime.engines.reference.noise import Use


class Basis(NamedTuple):
    """What one member remembers of one leaf."""

    basis: Array  # [K, d]: U, the same at all members
    mean: Array  # [K]: mu, the same at all members
    error: Array | None  # [the leaf's shape]: e_i; None without feedback


def begin(term: Gradiveq, leaf: Array, place: Place) -> Basis:
    """Returns a random basis, no centre and no error."""
    basis = first_basis(term, place, leaf.dtype)
    error = np.zeros_like(leaf) if term.feedback else None
    return Basis(basis, np.zeros(term.slice, leaf.dtype), error)


def first_basis(term: Gradiveq, place: Place, dtype: Any) -> Array:
    """Returns random orthonormal columns."""
    seed = place.seed_of_start(Use.BASES)
    u = noise.uniform(seed, 0, 0, term.slice * term.keep).astype(dtype)
    return gram_schmidt(2 * u.reshape(term.slice, term.keep) - 1)


def exchange(
    term: Gradiveq, values: list[Array], memories: list[Basis], place: Place
) -> tuple[Array, list[Basis]]:
    """Returns the mean of one leaf, and what each member remembers of it."""
    asked = [
        v if memory.error is None else v + memory.error
        for v, memory in zip(values, memories, strict=True)
    ]
    if place.count % term.every == 0:
        out = average(asked)
        start = first_basis(term, place, out.dtype)
        learned = learn(rows_of(out, term.slice), memories[0], start)
        return out, [learned] * len(values)
    return project(asked, memories[0], term.slice)


def learn(rows: Array, known: Basis, start: Array) -> Basis:
    """Returns the centre and the axes of some rows, and no error."""
    centre = np.sum(rows, axis=0) * (1 / len(rows))
    apart = rows - centre
    is_dead = ~known.basis.any(axis=0)
    apart = scaled(apart)
    spread, basis = apart.T @ apart, np.where(is_dead, start, known.basis)
    for _ in range(2):
        basis = gram_schmidt(spread @ basis)
    error = None if known.error is None else np.zeros_like(known.error)
    return Basis(basis, centre, error)


def scaled(rows: Array) -> Array:
    """Returns rows over their largest value; zeros where that is not a normal number.

    Example:
        >>> scaled(np.array([[1e-30, -2e-30]]))
        array([[ 0.5, -1. ]])
    """
    largest = np.max(np.abs(rows))
    if largest < np.finfo(rows.dtype).tiny:
        return np.zeros_like(rows)
    return np.asarray(rows * (1 / largest))


def project(asked: list[Array], known: Basis, width: int) -> tuple[Array, list[Basis]]:
    """Returns the mean of what the basis holds of each, and what it misses."""
    basis, centre, shape = known.basis, known.mean, asked[0].shape
    sent = [(rows_of(p, width) - centre) @ basis for p in asked]
    out = leaf_of(average(sent) @ basis.T + centre, shape)
    if known.error is None:
        return out, [known] * len(asked)
    seen = [leaf_of(y @ basis.T + centre, shape) for y in sent]
    missed = [p - c for p, c in zip(asked, seen, strict=True)]
    return out, [known._replace(error=e) for e in missed]


def rows_of(leaf: Array, width: int) -> Array:
    """Cuts a leaf into rows, the last filled up with zeros.

    Example:
        >>> rows_of(np.array([1.0, 2.0, 3.0]), 2)
        array([[1., 2.],
               [3., 0.]])
    """
    return np.pad(leaf.ravel(), (0, -leaf.size % width)).reshape(-1, width)


def leaf_of(rows: Array, shape: tuple[int, ...]) -> Array:
    """Undoes `rows_of`."""
    return rows.ravel()[: np.prod(shape, dtype=int)].reshape(shape)
