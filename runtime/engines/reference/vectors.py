"""Parameter trees as flat vectors: the order of the leaves, and their padding.

A tree is a nested dict of arrays. Its leaves are taken in the order of the sorted
keys, each row-major, one after another.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from diamond.runtime.engines.reference.state import Tree, Vector


def leaves(tree: Tree) -> list[Vector]:
    """Lists the leaves of a nested dict in the order of its sorted keys.

    Example:
        >>> leaves({"b": np.ones(2), "a": {"c": np.zeros(1)}})
        [array([0.]), array([1., 1.])]
    """
    found: list[Vector] = []
    for key in sorted(tree):
        child = tree[key]
        found += leaves(child) if isinstance(child, dict) else [np.asarray(child)]
    return found


def sizes_of(tree: Tree) -> tuple[int, ...]:
    """Returns the number of values in each leaf."""
    return tuple(leaf.size for leaf in leaves(tree))


def flatten(tree: Tree) -> Vector:
    """Lays the leaves end to end in one vector.

    Raises:
        ValueError: If the leaves are not all of one type.
    """
    found = leaves(tree)
    types = sorted({str(leaf.dtype) for leaf in found})
    if len(types) > 1:
        raise ValueError(f"parameters of one type were expected, not {types}")
    return np.concatenate([leaf.ravel() for leaf in found])


def unflatten(vector: Vector, like: Tree) -> Tree:
    """Cuts a vector into a tree with the keys and shapes of another.

    Example:
        >>> unflatten(np.arange(3.0), {"b": np.ones(2), "a": np.ones(1)})
        {'a': array([0.]), 'b': array([1., 2.])}
    """
    return _take(iter(_cut(vector, sizes_of(like))), like)


def _take(pieces: Iterator[Vector], like: Tree) -> Tree:
    tree: Tree = {}
    for key in sorted(like):
        child = like[key]
        if isinstance(child, dict):
            tree[key] = _take(pieces, child)
        else:
            tree[key] = next(pieces).reshape(np.shape(child))
    return tree


def pad_leaves(vector: Vector, sizes: tuple[int, ...], block: int) -> Vector:
    """Fills each leaf up with zeros to a whole number of blocks.

    Example:
        >>> pad_leaves(np.array([1.0, 2.0, 3.0]), (1, 2), block=2)
        array([1., 0., 2., 3.])
    """
    pieces = [pad_end(piece, block) for piece in _cut(vector, sizes)]
    return np.concatenate(pieces)


def strip_leaves(vector: Vector, sizes: tuple[int, ...], block: int) -> Vector:
    """Undoes `pad_leaves`, and drops whatever was appended after the last leaf."""
    padded = tuple(size + -size % block for size in sizes)
    pieces = zip(_cut(vector, padded), sizes, strict=True)
    return np.concatenate([piece[:size] for piece, size in pieces])


def pad_end(vector: Vector, multiple: int) -> Vector:
    """Appends zeros until the length is a multiple."""
    return np.pad(vector, (0, -vector.size % multiple))


def _cut(vector: Vector, sizes: tuple[int, ...]) -> list[Vector]:
    stops = np.cumsum((0, *sizes))
    return [vector[a:b] for a, b in itertools.pairwise(stops)]
