"""Values that change over the steps, and the word `auto`."""

from dataclasses import dataclass
from typing import Generic, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Auto:
    """The word `auto`: the planner is asked to choose."""


AUTO = Auto()


@dataclass(frozen=True, slots=True)
class Scheduled(Generic[T]):
    """`X for N steps, then Y`: values with the number of steps each one holds.

    Attributes:
        phases: Pairs of a value and its length in steps; only the last length is None.

    Raises:
        ValueError: If a length is missing, zero, or given for the last phase.
    """

    phases: tuple[tuple[T, int | None], ...]

    def __post_init__(self) -> None:
        lengths = [length for _, length in self.phases]
        if len(lengths) < 2 or lengths[-1] is not None:
            raise ValueError("a schedule needs two phases or more, the last unbounded")
        if any(length is None or length < 1 for length in lengths[:-1]):
            raise ValueError("each phase but the last must last 1 step or more")


@dataclass(frozen=True, slots=True)
class Phase(Generic[T]):
    """A value with the steps at which it holds: `start <= step < stop`.

    `stop` is None where the phase never ends.
    """

    value: T
    start: int
    stop: int | None


def phases_of(value: T | Scheduled[T]) -> tuple[Phase[T], ...]:
    """Lays a possibly scheduled value out on the time line of steps.

    Example:
        >>> phases_of(Scheduled((("a", 3), ("b", None))))
        (Phase(value='a', start=0, stop=3), Phase(value='b', start=3, stop=None))
    """
    if not isinstance(value, Scheduled):
        return (Phase(value, 0, None),)
    laid, start = [], 0
    for item, length in value.phases:
        stop = None if length is None else start + length
        laid.append(Phase(cast(T, item), start, stop))
        start = start if stop is None else stop
    return tuple(laid)
