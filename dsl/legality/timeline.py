"""What holds over an axis at which steps: the phases of its clauses, laid together."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

from diamond.dsl.legality.finding import Path, phase_path
from diamond.dsl.vocabulary.schedule import phases_of
from diamond.dsl.vocabulary.scheme import Replicas, Scheme


@dataclass(frozen=True, slots=True)
class Part:
    """A phase of one clause: a term, where it stands, and when it begins and ends."""

    axis: str
    path: Path
    term: object
    start: int
    stop: int | None

    @property
    def index(self) -> int:
        """Which phase of its clause it is, counted from 0."""
        return int(self.path[-1]) if self.path[-1].isdigit() else 0


@dataclass(frozen=True, slots=True)
class Segment:
    """Steps of an axis during which each of a few clauses keeps its term."""

    axis: str
    start: int
    stop: int | None
    parts: tuple[Part, ...]

    def when(self) -> str:
        """Writes the steps."""
        if self.stop is None:
            return f"from step {self.start} on" if self.start else "at every step"
        return f"from step {self.start} to {self.stop - 1}"


def outermost_first(scheme: Scheme) -> list[Replicas]:
    """Returns the replica axes that are in the mesh, in the mesh's order."""
    order = {axis.name: place for place, axis in enumerate(scheme.mesh)}
    inside = [replicas for replicas in scheme.replicas if replicas.axis in order]
    return sorted(inside, key=lambda replicas: order[replicas.axis])


def parts_of(replicas: Replicas, clause: str) -> list[Part]:
    """Returns the phases of a clause, with their places."""
    return [
        Part(
            replicas.axis,
            phase_path(replicas, clause, index),
            phase.value,
            phase.start,
            phase.stop,
        )
        for index, phase in enumerate(phases_of(getattr(replicas, clause)))
    ]


def segments(replicas: Replicas, *clauses: str) -> list[Segment]:
    """Lays the phases of some clauses together: a segment for each set that holds.

    Example:
        >>> from diamond.dsl.vocabulary import Int8, NoCompression, Scheduled
        >>> codec = Scheduled(((NoCompression(), 5), (Int8(), None)))
        >>> site = Replicas("site", compression=codec)
        >>> [one.when() for one in segments(site, "consistency", "compression")]
        ['from step 0 to 4', 'from step 5 on']
    """
    laid = [parts_of(replicas, clause) for clause in clauses]
    starts = sorted({part.start for parts in laid for part in parts})
    return [
        Segment(
            replicas.axis, start, stop, tuple(_holding(parts, start) for parts in laid)
        )
        for start, stop in zip(starts, [*starts[1:], None], strict=True)
    ]


def _holding(parts: list[Part], step: int) -> Part:
    return next(part for part in reversed(parts) if part.start <= step)


def all_segments(scheme: Scheme, *clauses: str) -> Iterator[Segment]:
    """Yields the segments of every replica axis of the mesh."""
    for replicas in outermost_first(scheme):
        yield from segments(replicas, *clauses)


def together(scheme: Scheme, *clauses: str) -> Iterator[tuple[Segment, Segment]]:
    """Yields a segment of an axis and one of an axis inside it, where they overlap."""
    laid = [segments(replicas, *clauses) for replicas in outermost_first(scheme)]
    for outer, inner in combinations(laid, 2):
        yield from _overlaps(outer, inner)


def _overlaps(
    outer: list[Segment], inner: list[Segment]
) -> Iterator[tuple[Segment, Segment]]:
    """Goes along both at once, so that long schedules take no long time."""
    left, right = 0, 0
    while left < len(outer) and right < len(inner):
        one, other = outer[left], inner[right]
        yield one, other
        ends_first = one.stop is not None and (
            other.stop is None or one.stop <= other.stop
        )
        ends_second = other.stop is not None and (
            one.stop is None or other.stop <= one.stop
        )
        if not (ends_first or ends_second):
            break
        left, right = left + ends_first, right + ends_second
