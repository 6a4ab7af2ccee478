"""How a vocabulary dataclass says what its arguments mean.

Every term of the language is a frozen dataclass that derives from `Term`; every
argument is declared with `arg`. The checker, did-you-mean, the reference page and
the Python API all read the same declarations.
"""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import MISSING, dataclass
from typing import Any, Literal

from diamond.dsl.vocabulary import types
from diamond.dsl.vocabulary.schedule import AUTO as AUTO
from diamond.dsl.vocabulary.schedule import Auto as Auto
from diamond.dsl.vocabulary.schedule import Phase as Phase
from diamond.dsl.vocabulary.schedule import Scheduled as Scheduled
from diamond.dsl.vocabulary.schedule import phases_of as phases_of

Unit = Literal["steps", "bytes", "bits_per_second", "seconds", "ratio"]
LARGEST = 2**63 - 1
# Words that start a statement, so that no setting or axis can be named like them.
RESERVED = frozenset({"let", "include", "link"})


@dataclass(frozen=True, slots=True)
class Argument:
    """What one argument of a term accepts.

    Attributes:
        doc: One line for the reference page.
        unit: The unit of a number, or None for a bare one.
        minimum: The least value, inclusive.
        maximum: The greatest value, inclusive.
        above: The number that a value must be greater than.
        multiple: The number that a value must be a multiple of.
        numbers: The numbers that a value may be; empty for any.
        choices: The words that a string argument may be; empty for any.
        family: The name of the family of terms that the argument takes.
        schedulable: Whether `X for N steps, then Y` may stand here.
        built: Whether the compiler implements values other than the default.
        identifier: Whether a string argument is a name, written without quotes.
        cites: Values with the keys of the papers that they come from; `...` stands for
            any value but the default.
    """

    doc: str
    unit: Unit | None = None
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    multiple: int | None = None
    numbers: tuple[int, ...] = ()
    choices: tuple[str, ...] = ()
    family: str | None = None
    schedulable: bool = False
    built: bool = True
    identifier: bool = False
    cites: tuple[tuple[object, str], ...] = ()


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
class Field:
    """An argument of a term with its name, its type hint and its default."""

    name: str
    meaning: Argument
    hint: object
    default: Any

    @property
    def required(self) -> bool:
        """Whether the argument has no default."""
        return self.default is MISSING

    @property
    def kinds(self) -> tuple[type, ...]:
        """The plain Python types that the argument takes."""
        members = types.members_of(self.hint)
        return tuple(member for member in members if member in types.PLAIN)

    @property
    def item(self) -> "Field | None":
        """What each item of a list is, where the argument takes a list."""
        hint = types.item_of(self.hint)
        if hint is None:
            return None
        return dataclasses.replace(self, hint=hint, default=MISSING)


class Term:
    """The base of every vocabulary dataclass: checks its arguments on construction.

    Raises:
        ValueError: If an argument is out of the range or the words it declares.
        TypeError: If an argument has the wrong type.
    """

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields_of(type(self)):
            value, name = getattr(self, field.name), f"`{field.name}`"
            if not types.fits(value, field.hint):
                raise TypeError(
                    f"{name} of `{type(self).__name__}` must be "
                    + _another_type(value, field)
                )
            problem = why_not(value, field.meaning)
            if problem:
                raise ValueError(f"{name} of `{type(self).__name__}` {problem}")


def _another_type(value: object, field: Field) -> str:
    """Says what was wanted and what was got, and how what was meant is written."""
    wanted = types.spelled(field.hint)
    if isinstance(value, type):
        name, is_meant = value.__name__, value in types.members_of(field.hint)
        called = f": call it, `{name}(...)`" if is_meant else ""
        return f"{wanted}, not the class {name}{called}"
    text = f"{wanted}, not {type(value).__name__}"
    items = tuple(value) if isinstance(value, list) else (value,)
    if types.fits(items, field.hint) and why_not(items, field.meaning) is None:
        return f"{text}: write `{field.name}={items!r}`"
    return text


def fields_of(term: type) -> Iterator[Field]:
    """Yields the arguments of a term, in the order of their declaration."""
    for field in dataclasses.fields(term):
        if "argument" in field.metadata:
            meaning = field.metadata["argument"]
            yield Field(field.name, meaning, field.type, field.default)


def field_of(term: type, name: str) -> Field | None:
    """Returns an argument of a term by its name."""
    return next((field for field in fields_of(term) if field.name == name), None)


def why_not(value: object, meaning: Argument) -> str | None:
    """Says why a value is refused by an argument, or None where it is accepted.

    Only the range and the words are judged here; types are judged by `types.fits`.
    """
    if isinstance(value, Scheduled):
        if not meaning.schedulable:
            return "cannot be scheduled"
        reasons = (why_not(item, meaning) for item, _ in value.phases)
        return next((reason for reason in reasons if reason), None)
    if isinstance(value, tuple):
        return next(filter(None, (why_not(item, meaning) for item in value)), None)
    if isinstance(value, str):
        return _why_not_text(value, meaning)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return _why_not_number(value, meaning)


def _why_not_text(value: str, meaning: Argument) -> str | None:
    if meaning.choices and value not in meaning.choices:
        return f"must be one of {', '.join(meaning.choices)}, not `{value}`"
    if meaning.identifier:
        return why_no_name(value)
    if '"' in value or not value.isprintable():
        return "must have no quotes, line breaks or other characters that do not print"
    return None


def why_no_name(text: str) -> str | None:
    """Says why a text cannot be a name in the language, or None where it can.

    Example:
        >>> why_no_name("host"), why_no_name("link")
        (None, 'cannot be `link`, which is a word of the language')
    """
    if not (text.isascii() and text.isidentifier()):
        return f"must be a name of letters, digits and underscores, not `{text}`"
    if text in RESERVED:
        return f"cannot be `{text}`, which is a word of the language"
    return None


def _why_not_number(value: int | float, meaning: Argument) -> str | None:
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"must fit in 64 bits: at most {LARGEST}"
    if not math.isfinite(value):
        return f"must be a finite number, not {value}"
    if meaning.minimum is not None and value < meaning.minimum:
        return f"must be at least {shown(meaning.minimum)}, not {shown(value)}"
    if meaning.maximum is not None and value > meaning.maximum:
        return f"must be at most {shown(meaning.maximum)}, not {shown(value)}"
    return _why_no_member(value, meaning)


def _why_no_member(value: int | float, meaning: Argument) -> str | None:
    if meaning.above is not None and value <= meaning.above:
        return f"must be more than {shown(meaning.above)}, not {shown(value)}"
    if meaning.multiple is not None and value % meaning.multiple:
        return f"must be a multiple of {meaning.multiple}, not {shown(value)}"
    if meaning.numbers and value not in meaning.numbers:
        *others, last = map(str, meaning.numbers)
        return f"must be {', '.join(others)} or {last}, not {shown(value)}"
    return None


def shown(value: int | float) -> str:
    """Writes a number as people do: `1` for 1.0, and no digit lost.

    Example:
        >>> shown(1.0), shown(0.5), shown(200000)
        ('1', '0.5', '200000')
    """
    return repr(value).removesuffix(".0")
