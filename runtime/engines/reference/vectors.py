"""Parameter trees as flat vectors: the order of the leaves, and where each stands.

A tree is a nested dict of arrays. Its leaves are taken in the order of the sorted
keys, each row-major, one after another.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from diamond.runtime.engines.reference.state import Tree, Vector

Places = tuple[int, ...]


class Layout(NamedTuple):
    """Which leaves stand in a vector, one after another."""

    paths: tuple[str, ...]  # keys joined by "/"
    shapes: tuple[tuple[int, ...], ...]

    def at(self, places: Places) -> "Layout":
        """Returns the layout of some of the leaves."""
        return Layout(
            tuple(self.paths[k] for k in places), tuple(self.shapes[k] for k in places)
        )


def layout_of(tree: Tree) -> Layout:
    """Lists the paths and shapes of a tree's leaves.

    Example:
        >>> layout_of({"b": np.ones(2), "a": {"c": np.ones((1, 3))}})
        Layout(paths=('a/c', 'b'), shapes=((1, 3), (2,)))
    """
    found = list(_walk(tree, ()))
    return Layout(
        tuple("/".join(path) for path, _ in found),
        tuple(np.shape(leaf) for _, leaf in found),
    )


def flatten(tree: Tree) -> Vector:
    """Lays the leaves end to end in one vector.

    Raises:
        ValueError: If the leaves are not all of one type.
    """
    found = [np.asarray(leaf) for _, leaf in _walk(tree, ())]
    types = sorted({str(leaf.dtype) for leaf in found})
    if len(types) > 1:
        raise ValueError(f"parameters of one type were expected, not {types}")
    return join(found)


def join(leaves: Sequence[Vector]) -> Vector:
    """Lays leaves end to end in one vector."""
    return np.concatenate([leaf.ravel() for leaf in leaves])


def cut(vector: Vector, layout: Layout) -> list[Vector]:
    """Cuts a vector into leaves of their own shapes; `join` undoes it.

    Example:
        >>> cut(np.arange(3.0), Layout(("a", "b"), ((1, 2), (1,))))
        [array([[0., 1.]]), array([2.])]
    """
    stops = np.cumsum([0, *map(math.prod, layout.shapes)])
    pieces = [vector[a:b] for a, b in itertools.pairwise(stops)]
    return [p.reshape(s) for p, s in zip(pieces, layout.shapes, strict=True)]


def coordinates(layout: Layout, places: Places) -> Vector:
    """Returns where the values of some leaves stand in the vector of all leaves.

    Example:
        >>> coordinates(Layout(("a", "b", "c"), ((2,), (1,), (2,))), (0, 2))
        array([0, 1, 3, 4])
    """
    numbers = np.arange(sum(map(math.prod, layout.shapes)))
    leaves = cut(numbers, layout)
    return join([leaves[k] for k in places])


def unflatten(vector: Vector, like: Tree) -> Tree:
    """Cuts a vector into a tree with the keys and shapes of another.

    Example:
        >>> unflatten(np.arange(3.0), {"b": np.ones(2), "a": np.ones(1)})
        {'a': array([0.]), 'b': array([1., 2.])}
    """
    return _take(iter(cut(vector, layout_of(like))), like)


def _take(pieces: Iterator[Vector], like: Tree) -> Tree:
    tree: Tree = {}
    for key in sorted(like):
        child = like[key]
        tree[key] = _take(pieces, child) if isinstance(child, dict) else next(pieces)
    return tree


def _walk(
    tree: Tree, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Vector]]:
    for key in sorted(tree):
        child, here = tree[key], (*path, str(key))
        if isinstance(child, dict):
            yield from _walk(child, here)
        else:
            yield here, child
