"""Adasum: contributions are added where they differ and averaged where they agree.

    A(a, b) = a (1 - a.b / 2|a|^2) + b (1 - a.b / 2|b|^2)

a tensor at a time, over the pairs of a tree: at level l, a is the value of the members
whose place has bit l clear, b that of the others.

Bill, for n bytes: n log2 N, in log2 N hops. (The paper halves vectors as it goes, which
sends less and must add up three numbers a tensor and a level besides.)
Limits: the sum of contributions that are orthogonal; a where all are equal to a. The
result is not a mean: a learning rate that was found for the mean of N is too large.
Traps: N must be a power of two. Where |a|^2 is too small for a reciprocal its
coefficient is 1. Under `local` displacements are joined, never parameters.

References: S. Maleki et al., Scaling Distributed Training with Adaptive Summation,
arXiv 2006.02924, 2020.
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.centralization.tree import levels_of
from diamond.compiler.exchange.contract import Leaves, Mixer
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Pairs


def adasum(*, wire: Wire) -> Mixer:
    """Returns the adaptive sum over a mesh axis, in the place of a mean.

    Args:
        wire: The axis.

    Raises:
        ValueError: If the number of members is not a power of two.

    Example:
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> adasum(wire=mesh_wire("host", 4)).route
        'tree'
    """
    levels = tuple(levels_of(wire.size, "reduce = adasum"))

    def mean(values: Leaves, state: tuple[()], turn: int) -> tuple[Leaves, tuple[()]]:
        del turn
        for distance, partners in levels:
            values = _joined(values, distance, partners, wire)
        return values, state

    return Mixer(
        init=lambda values: (),
        mean=mean,
        equations=(
            f"{{y}} = adasum over {wire.axis} of {{x}}, pair by pair:",
            "A(a, b) = a (1 - a.b / 2|a|^2) + b (1 - a.b / 2|b|^2), by tensors",
        ),
        route="tree",
        reason="whole tensors meet in pairs, then pairs of pairs",
    )


def _joined(values: Leaves, distance: int, partners: Pairs, wire: Wire) -> Leaves:
    bucket = bucket_of(shapes_of(values), block=1)
    theirs = unpack(wire.send(pack(values, bucket), partners), bucket, values)
    is_first = (wire.place() & distance) == 0

    def join(own: jax.Array, other: jax.Array) -> jax.Array:
        first = jnp.where(is_first, own, other)
        return adaptive_sum(first, jnp.where(is_first, other, own))

    joined: Leaves = jax.tree.map(join, values, theirs)
    return joined


def adaptive_sum(a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns A(a, b), of the shape of both.

    Example:
        >>> adaptive_sum(jnp.array([1.0, 0.0]), jnp.array([0.0, 2.0]))
        Array([1., 2.], dtype=float32)
    """
    product = jnp.sum(a * b)
    return a * _coefficient(a, product) + b * _coefficient(b, product)


def _coefficient(value: jax.Array, product: jax.Array) -> jax.Array:
    square = jnp.sum(value * value)
    is_safe = square >= jnp.finfo(value.dtype).tiny
    inverse = 1 / (2 * jnp.where(is_safe, square, 1))
    return jnp.where(is_safe, 1 - product * inverse, 1)
