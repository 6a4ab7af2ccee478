"""Packing: the shards of several arrays as one vector, so that they cross at once.

What is small takes about as long to cross as to wait for: of a layer with six
parameters five of six messages are saved. Shards that stand in a row of one vector are
put together by a transposition, whichever dim of theirs is cut.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

Arrays = Sequence[jax.Array]


def packed(shards: Arrays) -> jax.Array:
    """Returns arrays of one element type as one vector.

    Example:
        >>> packed([jnp.zeros((2, 3)), jnp.zeros(4)]).shape
        (10,)
    """
    return jnp.concatenate([shard.reshape(-1) for shard in shards])


def unpacked(vector: jax.Array, like: Sequence[Any]) -> list[jax.Array]:
    """Returns the arrays that a vector was packed of, given arrays of their shapes."""
    parts = _split(vector, like, 0)
    return [part.reshape(x.shape) for part, x in zip(parts, like, strict=True)]


def put_together(
    rows: jax.Array, shards: Arrays, dims: Sequence[int]
) -> list[jax.Array]:
    """Returns whole arrays from everyone's packed shards.

    Args:
        rows: The vectors, `[devices, values]`.
        shards: The shards of one device.
        dims: Which dim of each array is cut.

    Example:
        >>> rows = jnp.stack([packed([jnp.full((2, 1), k)]) for k in range(2)])
        >>> put_together(rows, [jnp.zeros((2, 1))], [1])[0].tolist()
        [[0, 1], [0, 1]]
    """
    parts = _split(rows, shards, 1)
    return [
        _joined(part.reshape(len(rows), *shard.shape), dim)
        for part, shard, dim in zip(parts, shards, dims, strict=True)
    ]


def taken_apart(
    wholes: Arrays, dims: Sequence[int], devices: int
) -> tuple[jax.Array, list[Any]]:
    """Returns everyone's packed shards, `[devices, values]`, and the shards' shapes."""
    parts = [apart(x, dim, devices) for x, dim in zip(wholes, dims, strict=True)]
    rows = jnp.concatenate([part.reshape(devices, -1) for part in parts], 1)
    return rows, [jax.ShapeDtypeStruct(p.shape[1:], p.dtype) for p in parts]


def _split(x: jax.Array, like: Sequence[Any], dim: int) -> list[jax.Array]:
    ends = list(itertools.accumulate(each.size for each in like))
    return jnp.split(x, ends[:-1], axis=dim)


def _joined(shards: jax.Array, dim: int) -> jax.Array:
    """Joins `[devices, ...]` along a dim of what each device has."""
    whole = jnp.moveaxis(shards, 0, dim)
    return whole.reshape(*whole.shape[:dim], -1, *whole.shape[dim + 2 :])


def apart(whole: jax.Array, dim: int, parts: int) -> jax.Array:
    """Cuts a dim into equal parts, `[parts, ...]`.

    Example:
        >>> apart(jnp.zeros((2, 6)), 1, 3).shape
        (3, 2, 2)
    """
    shape = whole.shape
    split = whole.reshape(*shape[:dim], parts, -1, *shape[dim + 1 :])
    return jnp.moveaxis(split, dim, 0)
