"""Orthonormal columns by modified Gram-Schmidt.

For each column c of A [n, r] in order, with q the earlier results in order,

    c <- c - q (q . c)          for each q
    c <- c (1/|c|)              or 0

where it is 0 if what is left is not longer than sqrt(eps) times what came: such a
column lies in the span of the others but for rounding, eps being that of the type.
"""

import numpy as np

from diamond.runtime.engines.reference.meeting import Array


def gram_schmidt(a: Array) -> Array:
    """Returns a matrix whose columns are orthonormal, or zero where they depended.

    Example:
        >>> gram_schmidt(np.array([[3.0, 6.0, 0.0], [4.0, 8.0, 5.0]]))
        array([[ 0.6,  0. , -0.8],
               [ 0.8,  0. ,  0.6]])
    """
    done: list[Array] = []
    for column in a.T:
        done.append(_apart(column, done))
    return np.stack(done, axis=1)


def _apart(column: Array, done: list[Array]) -> Array:
    before = np.sqrt(np.sum(column * column))
    for q in done:
        column = column - q * np.dot(q, column)
    norm = np.sqrt(np.sum(column * column))
    least = np.sqrt(np.finfo(column.dtype).eps) * before
    return column * (1 / norm) if norm > least else np.zeros_like(column)
