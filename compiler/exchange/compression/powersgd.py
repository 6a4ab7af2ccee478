"""PowerSGD: the factors of a low-rank matrix cross, one power iteration an exchange.

    M_i = v_i + e_i          each tensor as a matrix of n by m values
    P   = orthonormal columns of (1/N) sum_i M_i Q
    Q  <- (1/N) sum_i M_i^T P
    y   = P Q^T
    e_i <- M_i - P (M_i^T P)^T

Q stays from exchange to exchange, so that the iteration goes on; it begins as noise
that all members draw alike. What a member keeps is what its own matrix lost, not the
mean's (the mean of both is the same; a member's own does not wander off). A tensor of
three dims or more is folded where n + m is least: for PyTorch's convolutions, whose
first dim is the outputs', that is the paper's first dim by the rest; here the outputs'
is the last.

Bill: r (n + m) values a tensor instead of n m, in two messages for all tensors, added
on the way: 2 b r (n + m) (N-1)/N bytes of b a value. Memory: one copy of the values for
e, and r m values for Q.
Limits: exact where the mean of M has no more than r ranks. A tensor for which the
factors would not be at most half as large, 2 r (n + m) >= n m, crosses as it is, and so
do vectors.

References: T. Vogels, S. Karimireddy, M. Jaggi, PowerSGD: Practical Low-Rank Gradient
Compression for Distributed Optimization, arXiv 1905.13727, 2019.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import (
    Compressor,
    Leaves,
    Shape,
    skips_vectors,
)
from diamond.compiler.exchange.leafwise import mean_in_one, owed, zeros_like
from diamond.compiler.exchange.matrices import gram_schmidt, noise_matrix, product
from diamond.compiler.exchange.wire import Wire


class PowerSgdState(NamedTuple):
    """What one device keeps.

    Attributes:
        right: `[m, r]` a tensor, the factor Q; equal along the axis.
        lost: Like the values, this member's own; None without feedback.
    """

    right: Leaves
    lost: Leaves | None


def powersgd(*, rank: int = 1, feedback: bool = True, seed: int = 0) -> Compressor:
    """Returns the mean as a product of two thin matrices.

    Args:
        rank: Columns of the factors.
        feedback: Keep what the factors lost and add it the next time.
        seed: Of the noise that the factors begin with.

    Example:
        >>> powersgd(rank=2).skips((30, 40)), powersgd(rank=2).skips((4, 40))
        ('', 'less than twice as large as factors of rank 2')
    """

    def skips(shape: Shape) -> str:
        if len(shape) < 2:
            return skips_vectors(shape)
        n, m = _sides(shape)
        pays = 2 * min(rank, n, m) * (n + m) < n * m
        return "" if pays else f"less than twice as large as factors of rank {rank}"

    def init(values: Leaves) -> PowerSgdState:
        def begin(number: int, leaf: jax.Array) -> jax.Array:
            n, m = _sides(leaf.shape)
            return noise_matrix(seed, number, (m, min(rank, n, m)), leaf.dtype)

        right = [v if v is None else begin(i, v) for i, v in enumerate(values)]
        return PowerSgdState(right, zeros_like(values) if feedback else None)

    def mean(
        values: Leaves, state: PowerSgdState, wire: Wire, turn: int
    ) -> tuple[Leaves, PowerSgdState]:
        del turn
        matrices = jax.tree.map(_matrix, owed(values, state.lost))
        images = jax.tree.map(product, matrices, state.right)
        left = jax.tree.map(gram_schmidt, mean_in_one(images, wire))
        mine = jax.tree.map(lambda m, p: product(m.T, p), matrices, left)
        right = jax.tree.map(_alive, left, mean_in_one(mine, wire), state.right)
        made = jax.tree.map(_joined, left, right, values)
        if not feedback:
            return made, PowerSgdState(right, None)
        sent = jax.tree.map(_joined, left, mine, values)
        lost = jax.tree.map(lambda m, c: m.reshape(c.shape) - c, matrices, sent)
        return made, PowerSgdState(right, lost)

    return Compressor(
        init=init,
        mean=mean,
        equations=_equations(rank, feedback),
        route="sum",
        reason="factors add up on the way",
        skips=skips,
    )


def _sides(shape: Shape) -> tuple[int, int]:
    """Returns the two sides of the squarest matrix that a tensor folds into."""
    cuts = range(1, len(shape))
    sides = [(math.prod(shape[:cut]), math.prod(shape[cut:])) for cut in cuts]
    return min(sides, key=sum)


def _matrix(leaf: jax.Array) -> jax.Array:
    return leaf.reshape(_sides(leaf.shape))


def _alive(left: jax.Array, right: jax.Array, before: jax.Array) -> jax.Array:
    """Keeps the columns of Q for which P has none: zeros would stay zeros for good."""
    return jnp.where(jnp.any(left != 0, axis=0), right, before)


def _joined(left: jax.Array, right: jax.Array, like: jax.Array) -> jax.Array:
    return product(left, right.T).reshape(like.shape)


def _equations(rank: int, feedback: bool) -> tuple[str, ...]:
    sends = "({x} + e)" if feedback else "{x}"
    lines = (
        f"P = orthonormal columns of the mean of {sends} Q, rank {rank}",
        f"Q <- mean of {sends}^T P",
        "{y} = P Q^T",
    )
    lost = "e <- {x} + e - P P^T ({x} + e)"
    return (*lines, lost) if feedback else lines
