"""Arrays of which a process holds parts only, brought to the host."""

from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from diamond.runtime import finite


def on_host(tree: Any) -> Any:
    """Returns a pytree with its arrays on the host, whole.

    Where parts of them are with other processes, all of these must call it, and a
    small program gathers the arrays.

    Example:
        >>> on_host({"x": jax.numpy.arange(2)})["x"].tolist()
        [0, 1]
    """
    leaves, structure = jax.tree.flatten(tree)
    apart = [place for place, leaf in enumerate(leaves) if _is_apart(leaf)]
    gathered = _gathered([leaves[place] for place in apart])
    for place, leaf in zip(apart, gathered, strict=True):
        leaves[place] = leaf
    return jax.device_get(jax.tree.unflatten(structure, leaves))


def first_bad_here(tree: Any) -> str | None:
    """Returns the path of the first array that is not finite in this process, or None.

    Example:
        >>> first_bad_here({"x": jax.numpy.array([1.0, jax.numpy.nan])})
        'x'
    """
    return finite.first_bad_leaf(jax.tree.map(_parts_here, tree))


def _parts_here(leaf: Any) -> Any:
    if not _is_apart(leaf):
        return leaf
    parts = [np.asarray(shard.data).ravel() for shard in leaf.addressable_shards]
    return np.concatenate(parts)


def _is_apart(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) and not (
        leaf.is_fully_addressable or leaf.is_fully_replicated
    )


def _gathered(arrays: list[jax.Array]) -> list[jax.Array]:
    if not arrays:
        return []
    (mesh,) = {leaf.sharding.mesh for leaf in arrays}  # type: ignore[attr-defined]
    return _whole(NamedSharding(mesh, PartitionSpec()))(arrays)  # type: ignore[no-any-return]


def _whole(everywhere: NamedSharding) -> Any:
    return jax.jit(_same, out_shardings=everywhere)


def _same(arrays: list[jax.Array]) -> list[jax.Array]:
    return arrays
