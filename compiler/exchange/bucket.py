"""A tree of arrays as one vector, in blocks that never cross from leaf to leaf."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


def padded(size: int, multiple: int) -> int:
    """Rounds a size up to a multiple.

    Example:
        >>> padded(10, 8)
        16
    """
    return -(-size // multiple) * multiple


class Bucket(NamedTuple):
    """Where the leaves of a tree lie in one vector.

    Attributes:
        shapes: Shape of each leaf, in the tree's order.
        block: Each leaf is padded with zeros to a multiple of it.
        elements: Length of the vector, padding included.
    """

    shapes: tuple[tuple[int, ...], ...]
    block: int
    elements: int


def bucket_of(
    shapes: tuple[tuple[int, ...], ...], *, block: int, chunks: int = 1
) -> Bucket:
    """Lays leaves out so that the vector cuts into `chunks` runs of whole blocks.

    Example:
        >>> bucket_of(((3,), (2, 5)), block=4, chunks=3).elements
        24
    """
    leaves = sum(padded(math.prod(shape), block) for shape in shapes)
    return Bucket(shapes, block, padded(leaves, block * chunks))


def counts_of(bucket: Bucket, block: int) -> jax.Array | None:
    """Returns how many values each block holds, `int32[elements / block]`.

    Blocks of padding alone count as full. None where all are full.

    Args:
        bucket: The layout.
        block: Values a block, of which the layout's is a multiple.

    Example:
        >>> counts_of(bucket_of(((3,), (2, 5)), block=4), 4)
        Array([3, 4, 4, 2], dtype=int32)
    """
    places, counts, start = [], [], 0
    for shape in bucket.shapes:
        full, rest = divmod(math.prod(shape), block)
        if rest:
            places.append(start + full)
            counts.append(rest)
        start += padded(math.prod(shape), bucket.block) // block
    if not places:
        return None
    whole = jnp.full(bucket.elements // block, block, jnp.int32)
    return whole.at[jnp.array(places)].set(jnp.array(counts, jnp.int32))


def pack(tree: Any, bucket: Bucket) -> jax.Array:
    """Returns a tree's leaves as one vector `[bucket.elements]`."""
    parts, length = [], 0
    for leaf in jax.tree.leaves(tree):
        size = padded(leaf.size, bucket.block)
        parts.append(jnp.pad(leaf.reshape(-1), (0, size - leaf.size)))
        length += size
    parts.append(jnp.zeros(bucket.elements - length, parts[0].dtype))
    return jnp.concatenate(parts)


def unpack(vector: jax.Array, bucket: Bucket, like: Any) -> Any:
    """Returns a vector as the leaves of a tree like another."""
    leaves, start = [], 0
    for shape in bucket.shapes:
        size = math.prod(shape)
        leaves.append(vector[start : start + size].reshape(shape))
        start += padded(size, bucket.block)
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def shapes_of(tree: Any) -> tuple[tuple[int, ...], ...]:
    """Returns the shapes of a tree's leaves, in the tree's order."""
    return tuple(tuple(leaf.shape) for leaf in jax.tree.leaves(tree))
