"""A state as a flat dict of plain arrays, and back.

Orbax is given nothing but names and arrays: no tuples, no key arrays, no Python
numbers and no arrays without elements (which it refuses).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diamond.runtime.checkpoints.manifest import LeafRecord

Arrays = dict[str, Any]


def name_leaves(state: Any) -> dict[str, Any]:
    """Returns the leaves of a pytree by the path that leads to each.

    Example:
        >>> list(name_leaves({"b": 1, "a": (2, 3)}))
        ['a/0', 'a/1', 'b']
    """
    paths, _ = jax.tree_util.tree_flatten_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): leaf
        for path, leaf in paths
    }


def abstract(state: Any) -> Any:
    """Returns a state without its values on devices, as `restore` needs it."""
    return jax.tree.map(_abstract, state)


def to_arrays(state: Any) -> Arrays:
    """Returns a state as Orbax saves it."""
    named = {name: _plain(leaf) for name, leaf in name_leaves(state).items()}
    return {name: leaf for name, leaf in named.items() if leaf.size}


def to_targets(like: Any) -> Arrays:
    """Returns what Orbax needs to know to restore arrays where `like` has them."""
    named = {name: _target(leaf) for name, leaf in name_leaves(like).items()}
    return {name: leaf for name, leaf in named.items() if np.prod(leaf.shape)}


def from_arrays(like: Any, arrays: Arrays) -> Any:
    """Puts restored arrays into the structure of `like`."""
    leaves = [
        _as_leaf(leaf, arrays.get(name)) for name, leaf in name_leaves(like).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def records_of(state: Any) -> tuple[LeafRecord, ...]:
    """Returns name, type and shape of each leaf of a state, abstract or not."""
    return tuple(
        LeafRecord(name, *_type_and_shape(leaf))
        for name, leaf in name_leaves(state).items()
    )


def _abstract(leaf: Any) -> Any:
    if isinstance(leaf, jax.Array) and not _is_key(leaf):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=leaf.sharding)
    return leaf


def _is_key(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return dtype is not None and jnp.issubdtype(dtype, jax.dtypes.prng_key)


def _type_and_shape(leaf: Any) -> tuple[str, tuple[int, ...]]:
    array = leaf if hasattr(leaf, "dtype") else np.asarray(leaf)
    return str(array.dtype), tuple(array.shape)


def _plain(leaf: Any) -> Any:
    if _is_key(leaf):
        return jax.random.key_data(leaf)
    return leaf if isinstance(leaf, jax.Array) else np.asarray(leaf)


def _target(leaf: Any) -> Any:
    if _is_key(leaf):
        data = jax.eval_shape(jax.random.key_data, leaf)
        return jax.ShapeDtypeStruct(data.shape, data.dtype, sharding=_home())
    if isinstance(leaf, (jax.Array, jax.ShapeDtypeStruct)):
        sharding = leaf.sharding or _home()
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)
    return np.asarray(leaf)


def _home() -> jax.sharding.Sharding:
    return jax.sharding.SingleDeviceSharding(jax.devices()[0])


def _as_leaf(like: Any, array: Any) -> Any:
    if array is None:
        return _empty(like)
    if _is_key(like):
        key = jax.random.wrap_key_data(array, impl=_key_impl(like))
        return key if like.sharding is None else jax.device_put(key, like.sharding)
    if isinstance(like, (bool, int, float)):
        return type(like)(array)
    return array


def _key_impl(like: Any) -> Any:
    """Returns what draws from a key, of which only shape and type need be known."""
    found: list[Any] = []
    jax.eval_shape(lambda key: found.append(jax.random.key_impl(key)), like)
    return found[0]


def _empty(like: Any) -> Any:
    empty = np.zeros(like.shape, like.dtype)
    if isinstance(like, (jax.Array, jax.ShapeDtypeStruct)):
        return jax.device_put(empty, like.sharding)
    return empty
