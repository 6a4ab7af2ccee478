"""Which strategies of parallelism are laid over which axes of the mesh."""

from collections.abc import Iterator
from typing import TypeVar

from diamond.dsl.legality.timeline import Part
from diamond.dsl.vocabulary.compression import NoCompression
from diamond.dsl.vocabulary.parallelism import Zero
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


def scattered(scheme: Scheme) -> Iterator[tuple[Axis, Part]]:
    """Yields the axes whose shards are owned by members that gradients cross to coded.

    Beside each stands the codec, a part of the strategy that holds for the whole run.

    Example:
        >>> from diamond.dsl.vocabulary import Int8, Parallel
        >>> laid = (Parallel(Zero(compression=Int8()), "host"),)
        >>> scheme = Scheme("a", mesh=(Axis("host", 2),), parallelism=laid)
        >>> [part.path for _, part in scattered(scheme)]
        [('parallelism', 'host', 'compression')]
    """
    for axis, zero in laid(scheme, Zero):
        if not isinstance(zero.compression, NoCompression):
            path = ("parallelism", axis.name, "compression")
            yield axis, Part(axis.name, path, zero.compression, 0, None)
