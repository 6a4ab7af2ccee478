"""The syntax tree: what was written, with its place, before it means anything.

file      = [scheme NAME] item*
item      = let | block
block     = WORD [NAME | over NAME] { statement* }
statement = NAME = value | include NAME | link NAME = value, value | call over NAME
value     = number [unit] | "string" | true | false | auto | name | call
| [value, ...] | value for length, then value
length    = number [unit] | name [unit]
"""

from dataclasses import dataclass

from diamond.dsl.source import Span


@dataclass(frozen=True, slots=True)
class Name:
    """An identifier: a word of the language, a constant, or an axis."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Number:
    """A number as written; `unit` is the unit's text, such as `Gbit/s`, or None.

    `value` is an int where the text has neither a point nor an exponent, with the
    suffixes k, M, G, T (`10M`) already multiplied in and underscores removed.
    """

    value: int | float
    unit: str | None
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    """A string, without its quotes."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Boolean:
    """`true` or `false`."""

    value: bool
    span: Span


@dataclass(frozen=True, slots=True)
class AutoWord:
    """The word `auto`."""

    span: Span


@dataclass(frozen=True, slots=True)
class NamedValue:
    """An argument of a call, `name = value`."""

    name: Name
    value: "Value"
    span: Span


@dataclass(frozen=True, slots=True)
class CallNode:
    """A term with its arguments in parentheses, `local(every = 50)`."""

    name: Name
    arguments: tuple[NamedValue, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class ListNode:
    """Values in brackets, `["*norm*", "head/*"]`."""

    items: tuple["Value", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Measured:
    """A constant with a unit, `n steps`, as the length of a phase."""

    name: Name
    unit: Name
    span: Span


Length = Number | Name | Measured


@dataclass(frozen=True, slots=True)
class ScheduleNode:
    """`X for N steps, then Y`: values with lengths; the last length is None."""

    phases: tuple[tuple["Value", Length | None], ...]
    span: Span


Value = Number | String | Boolean | AutoWord | Name | CallNode | ListNode | ScheduleNode


@dataclass(frozen=True, slots=True)
class Let:
    """`let name = value`: a constant for the rest of the file."""

    name: Name
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Setting:
    """`name = value` in a block."""

    name: Name
    value: Value
    span: Span


@dataclass(frozen=True, slots=True)
class Include:
    """`include preset`: the settings of a preset, before those that follow."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class LinkSetting:
    """`link axis = bandwidth[, latency]` in `hardware`."""

    axis: Name
    values: tuple[Value, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class StrategySetting:
    """`strategy over axis` in `parallelism`."""

    strategy: Name | CallNode
    axis: Name
    span: Span


@dataclass(frozen=True, slots=True)
class ShardRule:
    """`shard "pattern" (name, ...)` in `parallelism`."""

    pattern: String
    dims: tuple[Name, ...]
    span: Span


Statement = Setting | Include | LinkSetting | StrategySetting | ShardRule


@dataclass(frozen=True, slots=True)
class Block:
    """A block; `label` is the name after the word, `over` the axis after `over`."""

    word: Name
    label: Name | None
    over: Name | None
    statements: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class File:
    """A whole file; comments are kept by the formatter, not here."""

    name: Name | None
    items: tuple[Let | Block, ...]
    span: Span
