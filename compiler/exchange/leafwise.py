"""Leaf by leaf: what compressors that treat each tensor alone have in common.

They keep what they lost in the tensors' own shapes, and put the small arrays that they
make of all tensors into one message.
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.coded import exact_mean
from diamond.compiler.exchange.contract import Leaves
from diamond.compiler.exchange.wire import Wire


def zeros_like(values: Leaves) -> Leaves:
    """Returns leaves of zeros, None where there is none."""
    zeros: Leaves = jax.tree.map(jnp.zeros_like, values)
    return zeros


def owed(values: Leaves, lost: Leaves | None) -> Leaves:
    """Returns values and what was lost of earlier ones, added.

    Example:
        >>> owed([1.0, None], [0.5, None]), owed([1.0], None)
        ([1.5, None], [1.0])
    """
    if lost is None:
        return values
    added: Leaves = jax.tree.map(lambda v, e: v + e, values, lost)
    return added


def mean_in_one(values: Leaves, wire: Wire) -> Leaves:
    """Returns the exact mean of leaves that cross in one message."""
    bucket = bucket_of(shapes_of(values), block=1)
    [vector] = exact_mean([pack(values, bucket)], wire)
    leaves: Leaves = unpack(vector, bucket, values)
    return leaves
