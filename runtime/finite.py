"""Whether numbers are still numbers."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def is_finite(array: Any) -> bool:
    """Whether an array holds neither NaN nor infinity.

    Example:
        >>> is_finite(np.array([1.0, np.inf]))
        False
    """
    values = np.asarray(array)
    if not jnp.issubdtype(values.dtype, jnp.inexact):
        return True
    return bool(np.isfinite(values).all())


def first_bad_leaf(tree: Any) -> str | None:
    """Returns the path of the first array with a NaN or an infinity, or None.

    Example:
        >>> first_bad_leaf({"head": {"bias": np.array([np.nan])}})
        'head/bias'
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if not is_finite(leaf):
            return jax.tree_util.keystr(path, simple=True, separator="/")
    return None
