"""How much memory a tree takes."""

from typing import Any

import jax


def bytes_of(tree: Any) -> int:
    """Returns the bytes of a tree's arrays, of real ones or of shapes; keys count too.

    Example:
        >>> bytes_of([jax.ShapeDtypeStruct((2, 3), jax.numpy.dtype("float32"))])
        24
    """
    leaves = jax.tree.leaves(tree)
    return sum(int(leaf.size) * leaf.dtype.itemsize for leaf in leaves)
