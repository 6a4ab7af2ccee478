"""From arrays on the host to arrays on the mesh, which may span several processes.

A process gives either the whole of an array, the same as all others give, or the rows
that its own devices hold.
"""

from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding

Index = tuple[slice, ...]


def rows_here(shape: tuple[int, ...], sharding: Sharding) -> slice:
    """Returns which rows of a global array the devices of this process hold.

    Where they hold several stretches, the rows between these are among them.

    Example:
        >>> home = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        >>> rows_here((4, 2), home)
        slice(0, 4, None)
    """
    places = sharding.addressable_devices_indices_map(shape).values()
    spans = [place[0].indices(shape[0])[:2] for place in places if place]
    return slice(min(first for first, _ in spans), max(end for _, end in spans))


def put(array: Any, shape: tuple[int, ...], sharding: Sharding) -> jax.Array:
    """Puts a global array on its devices; each process puts what its own ones hold.

    Args:
        array: The whole array, or this process's `rows_here` of it. A `jax.Array` is
            whole.
        shape: The shape of the whole.
        sharding: Where it lies.

    Example:
        >>> home = jax.sharding.SingleDeviceSharding(jax.devices()[0])
        >>> put(np.ones((4, 2)), (4, 2), home).shape
        (4, 2)
    """
    if sharding.is_fully_addressable or isinstance(array, jax.Array):
        placed: jax.Array = jax.device_put(array, sharding)
        return placed
    mine = np.asarray(array)
    before = 0 if mine.shape == shape else rows_here(shape, sharding).start

    def part(index: Index | None) -> np.ndarray[Any, Any]:
        assert index is not None
        first, end, _ = index[0].indices(shape[0])
        return mine[(slice(first - before, end - before), *index[1:])]

    return jax.make_array_from_callback(shape, sharding, part)
