"""Which strategies of parallelism are laid over which axes of the mesh."""

from collections.abc import Iterator
from typing import TypeVar

from diamond.dsl.vocabulary.scheme import Axis, Scheme

Kind = TypeVar("Kind")


def laid(scheme: Scheme, kind: type[Kind]) -> Iterator[tuple[Axis, Kind]]:
    """Yields the axes of the mesh that one kind of strategy is laid over, with it."""
    axes = {axis.name: axis for axis in scheme.mesh}
    for each in scheme.parallelism:
        if isinstance(each.strategy, kind) and each.axis in axes:
            yield axes[each.axis], each.strategy


def spread(scheme: Scheme, kind: type[Kind]) -> Iterator[tuple[Axis, Kind]]:
    """Yields those of them that have several devices."""
    return (pair for pair in laid(scheme, kind) if pair[0].size > 1)
