"""How a vocabulary dataclass says what its arguments mean.

Every term of the language is a frozen dataclass that derives from `Term`; every
argument is declared with `arg`. The checker, did-you-mean, the reference page and
the Python API all read the same declarations.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from typing import Any, Generic, Literal, TypeVar, cast

T = TypeVar("T")
Unit = Literal["steps", "bytes", "bits_per_second", "seconds", "ratio"]


@dataclass(frozen=True, slots=True)
class Argument:
    """What one argument of a term accepts.

    Attributes:
        doc: One line for the reference page.
        unit: The unit of a number, or None for a bare one.
        minimum: The least value, inclusive.
        maximum: The greatest value, inclusive.
        choices: The words that a string argument may be; empty for any.
        family: The name of the family of terms that the argument takes.
        schedulable: Whether `X for N steps, then Y` may stand here.
        built: Whether the compiler implements values other than the default.
    """

    doc: str
    unit: Unit | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    family: str | None = None
    schedulable: bool = False
    built: bool = True


def arg(doc: str, *, default: Any = MISSING, **meaning: Any) -> Any:
    """Declares an argument of a term.

    Example:
        >>> @dataclass(frozen=True, slots=True)
        ... class Nap(Term):
        ...     every: int = arg("steps between naps", unit="steps", minimum=1)
        >>> Nap(every=3)
        Nap(every=3)
    """
    metadata = {"argument": Argument(doc, **meaning)}
    return dataclasses.field(default=default, metadata=metadata)


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


class Term:
    """The base of every vocabulary dataclass: checks its arguments on construction.

    Raises:
        ValueError: If an argument is out of the range or the words it declares.
        TypeError: If an argument has the wrong type.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for name, meaning in arguments_of(type(self)):
            problem = why_not(getattr(self, name), meaning)
            if problem:
                raise ValueError(f"`{name}` of `{type(self).__name__}` {problem}")


def arguments_of(term: type) -> Iterator[tuple[str, Argument]]:
    """Yields the name and the meaning of each argument of a term."""
    for field in dataclasses.fields(term):
        if "argument" in field.metadata:
            yield field.name, field.metadata["argument"]


def why_not(value: object, meaning: Argument) -> str | None:
    """Says why a value is refused by an argument, or None where it is accepted.

    Only the range and the words are judged here; types are the checker's.
    """
    if isinstance(value, Scheduled):
        if not meaning.schedulable:
            return "cannot be scheduled"
        reasons = (why_not(item, meaning) for item, _ in value.phases)
        return next((reason for reason in reasons if reason), None)
    if isinstance(value, str) and meaning.choices and value not in meaning.choices:
        return f"must be one of {', '.join(meaning.choices)}, not `{value}`"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not math.isfinite(value):
        return f"must be a finite number, not {value}"
    if meaning.minimum is not None and value < meaning.minimum:
        return f"must be at least {meaning.minimum:g}, not {value:g}"
    if meaning.maximum is not None and value > meaning.maximum:
        return f"must be at most {meaning.maximum:g}, not {value:g}"
    return None
