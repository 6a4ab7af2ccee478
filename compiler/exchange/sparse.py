"""Sparse values: some values of each tensor, with their places in it.

Values and places are arrays `[k]` a tensor; a place counts the tensor's values in
their order, so that it fits in 32 bits where the whole model's would not.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.coded import MOST_UNROLLED
from diamond.compiler.exchange.contract import Leaves
from diamond.compiler.exchange.wire import Wire


def num_kept(density: float, size: int) -> int:
    """Returns how many of `size` values are kept: one at least.

    Example:
        >>> num_kept(0.01, 250), num_kept(0.01, 10)
        (2, 1)
    """
    return max(1, round(density * size))


def largest(leaf: jax.Array, density: float) -> jax.Array:
    """Returns the places of the largest values, ties to the lower; NaN is the largest.

    Example:
        >>> largest(jnp.array([1.0, -3.0, 3.0, 0.0]), 0.5)
        Array([1, 2], dtype=int32)
    """
    sizes = jnp.abs(leaf.reshape(-1))
    return jax.lax.top_k(sizes, num_kept(density, leaf.size))[1]


def taken(leaf: jax.Array, places: jax.Array) -> jax.Array:
    """Returns a leaf's values at some places."""
    return leaf.reshape(-1)[places]


def emptied(leaf: jax.Array, places: jax.Array) -> jax.Array:
    """Returns a leaf with zeros at some places.

    Example:
        >>> emptied(jnp.array([1.0, 2.0, 3.0]), jnp.array([1]))
        Array([1., 0., 3.], dtype=float32)
    """
    flat = leaf.reshape(-1).at[places].set(0, unique_indices=True)
    return flat.reshape(leaf.shape)


def spread(values: jax.Array, places: jax.Array, like: jax.Array) -> jax.Array:
    """Returns values at their places in a leaf like another, 0 elsewhere."""
    flat = jnp.zeros(like.size, values.dtype)
    return flat.at[places].set(values, unique_indices=True).reshape(like.shape)


def largest_of(values: Leaves, density: float) -> Leaves:
    """Returns the places of the largest values of each leaf."""
    places: Leaves = jax.tree.map(functools.partial(largest, density=density), values)
    return places


def each_emptied(values: Leaves, places: Leaves) -> Leaves:
    """Returns leaves with zeros at the places of each."""
    left: Leaves = jax.tree.map(emptied, values, places)
    return left


def mean_of_taken(values: Leaves, places: Leaves, wire: Wire) -> Leaves:
    """Returns the mean of everyone's values at everyone's places, 0 elsewhere.

    All leaves' values cross in one message and their places in another. They are
    added a member at a time, whose places differ from each other: so the last bit does
    not hang on the order in which a scatter adds.
    """
    chosen = jax.tree.map(taken, values, places)
    bucket = bucket_of(shapes_of(chosen), block=1)
    everyone = wire.gather(pack(chosen, bucket)), wire.gather(pack(places, bucket))
    add = functools.partial(_added, unpacked=lambda v: unpack(v, bucket, values))
    start = jax.tree.map(lambda leaf: jnp.zeros(leaf.size, leaf.dtype), values)
    unroll = min(wire.size, MOST_UNROLLED)
    total, _ = jax.lax.scan(add, start, everyone, unroll=unroll)
    share = 1 / wire.size
    mean: Leaves = jax.tree.map(
        lambda flat, leaf: (flat * share).reshape(leaf.shape), total, values
    )
    return mean


def _added(
    total: Leaves,
    one: tuple[jax.Array, jax.Array],
    *,
    unpacked: Callable[[jax.Array], Leaves],
) -> tuple[Leaves, None]:
    values, places = map(unpacked, one)
    total = jax.tree.map(
        lambda flat, v, p: flat.at[p].add(v, unique_indices=True), total, values, places
    )
    return total, None
