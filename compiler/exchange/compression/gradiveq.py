"""GradiVeQ: coefficients in a basis that was learned from earlier means cross.

Each tensor is laid out as rows X of `slice` values. At every L-th exchange, from the
first on, the values cross as they are, and what crossed gives a new basis:

    y   = (1/N) sum_i p_i         p = v + e
    mu <- mean row of X(y)
    U  <- orthonormal columns of S U, twice        S = (X - mu)^T (X - mu)
          from U with those of its first columns where it has none left
          and with X - mu over its largest value, whose squares may be too small
    e  <- 0

At the others:

    z   = (1/N) sum_i (X(p_i) - mu) U
    y   = z U^T + mu
    e  <- p - ((X(p) - mu) U U^T + mu)

The map is linear, so coefficients add up on the way. Two steps of subspace iteration
from the last basis stand in for a full decomposition: the basis follows the means at
the price of two thin products.

Bill: `keep` of every `slice` values, and all of them once in L exchanges, in one
message that is added on the way: 2 b c (N-1)/N bytes of b a value, c = `keep` a row.
Memory: one copy of the values for e; (`keep` + 1) `slice` values a tensor for U and mu.
Limits: `every = 1` is the plain mean; so is `keep = slice` for tensors of more rows
than that. Vectors cross as they are.
Traps: a mean of R rows teaches R - 1 directions at most, so that a tensor smaller than
`slice` times `keep` has less to choose from than it pays for: take smaller slices, or
`exclude` it. Feedback, which the paper has not, piles up what the basis cannot hold
until the next exchange that is dense and then sends all of it at once: on the digits it
broke training (14 % of held-out digits right, against 97 % without).

References: M. Yu et al., GradiVeQ: Vector Quantization for Bandwidth-Efficient Gradient
Aggregation in Distributed CNN Training, arXiv 1811.03617, 2018. The feedback is ours,
and so is the subspace iteration.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import padded
from diamond.compiler.exchange.contract import Compressor, Leaves, skips_vectors
from diamond.compiler.exchange.leafwise import mean_in_one, owed, zeros_like
from diamond.compiler.exchange.matrices import gram_schmidt, noise_matrix, product
from diamond.compiler.exchange.wire import Wire

LEARNING, CODING = 0, 1


class Basis(NamedTuple):
    """A tensor's: `columns` is `[slice, keep]`, orthonormal; `middle` is `[slice]`."""

    columns: jax.Array
    middle: jax.Array


class GradiveqState(NamedTuple):
    """What one device keeps.

    Attributes:
        bases: A `Basis` a tensor; equal along the axis.
        lost: Like the values, this member's own; None without feedback.
    """

    bases: Leaves
    lost: Leaves | None


def gradiveq(
    *,
    slice: int = 256,
    keep: int = 32,
    every: int = 20,
    feedback: bool = False,
    seed: int = 0,
) -> Compressor:
    """Returns the mean of coefficients in a learned basis.

    Args:
        slice: Values a row.
        keep: Coefficients a row.
        every: Exchanges that a basis lasts, the one that it is learned from included.
        feedback: Keep what the coefficients lost and add it the next time.
        seed: Of the noise that the bases begin with.

    Raises:
        ValueError: If more coefficients are kept than a row has values.

    Example:
        >>> gradiveq(slice=8, keep=2, every=3).turns
        (0, 1, 1)
    """
    if keep > slice:
        raise ValueError(
            f"`keep = {keep}` coefficients of `slice = {slice}` values: at most "
            f"{slice} can be kept"
        )

    def first(values: Leaves) -> Leaves:
        """Returns the columns that each basis begins with."""
        size = (slice, keep)
        return [
            v if v is None else gram_schmidt(noise_matrix(seed, place, size, v.dtype))
            for place, v in enumerate(values)
        ]

    def init(values: Leaves) -> GradiveqState:
        bases = jax.tree.map(
            lambda columns: Basis(columns, jnp.zeros(slice, columns.dtype)),
            first(values),
        )
        return GradiveqState(bases, zeros_like(values) if feedback else None)

    def mean(
        values: Leaves, state: GradiveqState, wire: Wire, turn: int
    ) -> tuple[Leaves, GradiveqState]:
        wanted = owed(values, state.lost)
        if turn == LEARNING:
            return _learned(wanted, state, first(values), wire)
        return _coded(wanted, state, wire)

    return Compressor(
        init=init,
        mean=mean,
        equations=_equations(slice, keep, every, feedback),
        route="sum",
        reason="coefficients in a shared basis add up on the way",
        skips=skips_vectors,
        turns=(LEARNING, *[CODING] * (every - 1)),
    )


def _learned(
    wanted: Leaves, state: GradiveqState, first: Leaves, wire: Wire
) -> tuple[Leaves, GradiveqState]:
    """The mean as it is, and bases that fit it."""
    made = mean_in_one(wanted, wire)
    bases = jax.tree.map(_fitted, made, state.bases, first)
    lost = None if state.lost is None else zeros_like(wanted)
    return made, GradiveqState(bases, lost)


def _coded(
    wanted: Leaves, state: GradiveqState, wire: Wire
) -> tuple[Leaves, GradiveqState]:
    """The mean of coefficients."""
    mine = jax.tree.map(_coefficients, wanted, state.bases)
    made = jax.tree.map(_decoded, wanted, mean_in_one(mine, wire), state.bases)
    if state.lost is None:
        return made, state
    sent = jax.tree.map(_decoded, wanted, mine, state.bases)
    lost = jax.tree.map(lambda p, c: p - c, wanted, sent)
    return made, GradiveqState(state.bases, lost)


def _rows(leaf: jax.Array, width: int) -> jax.Array:
    flat = leaf.reshape(-1)
    return jnp.pad(flat, (0, padded(flat.size, width) - flat.size)).reshape(-1, width)


def _fitted(leaf: jax.Array, basis: Basis, start: jax.Array) -> Basis:
    rows = _rows(leaf, basis.middle.size)
    middle = jnp.sum(rows, axis=0) * (1 / len(rows))
    apart = _scaled(rows - middle)
    columns = jnp.where(jnp.any(basis.columns != 0, axis=0), basis.columns, start)
    for _ in range(2):
        columns = gram_schmidt(product(apart.T, product(apart, columns)))
    return Basis(columns, middle)


def _scaled(rows: jax.Array) -> jax.Array:
    """Returns rows over their largest value; zeros where that is no normal number."""
    largest = jnp.max(jnp.abs(rows))
    is_small = largest < jnp.finfo(rows.dtype).tiny
    return jnp.where(is_small, 0, rows * (1 / jnp.where(is_small, 1, largest)))


def _coefficients(leaf: jax.Array, basis: Basis) -> jax.Array:
    return product(_rows(leaf, basis.middle.size) - basis.middle, basis.columns)


def _decoded(like: jax.Array, coefficients: jax.Array, basis: Basis) -> jax.Array:
    rows = product(coefficients, basis.columns.T) + basis.middle
    return rows.reshape(-1)[: like.size].reshape(like.shape)


def _equations(slice: int, keep: int, every: int, feedback: bool) -> tuple[str, ...]:
    sends = "({x} + e)" if feedback else "{x}"
    plain = "{x} + e" if feedback else "{x}"
    lines = [
        f"X(v) = {slice} values a row, U = {keep} columns",
        f"once in {every}: {{y}} = mean of {plain}; U, mu <- of X({{y}})",
        f"else: {{y}} = (mean of X{sends} - mu) U U^T + mu",
    ]
    if feedback:
        lines.append("e <- what U and mu lose of {x} + e, 0 once in " + str(every))
    return tuple(lines)
