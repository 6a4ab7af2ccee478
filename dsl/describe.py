"""Values and what is wanted of them, in words."""

import re
from collections.abc import Iterator, Sequence

from diamond.dsl import syntax, units
from diamond.dsl.suggest import listed, shorten
from diamond.dsl.vocabulary.fields import Argument, Field, shown

NUMBER = r"-?[0-9][0-9_]*(\.[0-9]+)?([eE][-+]?[0-9]+)?"


def described(node: syntax.Value) -> str:
    """Says what a value is, for messages.

    Example:
        >>> from diamond.dsl.source import Span
        >>> described(syntax.Boolean(True, Span(0, 4)))
        'the truth value `true`'
    """
    match node:
        case syntax.Number():
            return f"the number `{written(node)}`"
        case syntax.String():
            return f"the string {written(node)}"
        case syntax.Boolean():
            return f"the truth value `{written(node)}`"
        case syntax.AutoWord():
            return "`auto`"
        case syntax.Name():
            return f"the word `{node.text}`"
        case syntax.CallNode():
            return f"the call `{node.name.text}(...)`"
        case syntax.ListNode():
            return "a list"
        case syntax.ScheduleNode():
            return "a schedule"


def written(node: syntax.Value) -> str:
    """Writes a plain value as it stands in the file."""
    match node:
        case syntax.Number():
            return node.text if node.unit is None else f"{node.text} {node.unit}"
        case syntax.Boolean():
            return str(node.value).lower()
        case syntax.Name():
            return node.text
        case syntax.String():
            return f'"{shorten(node.value)}"'
    return "auto" if isinstance(node, syntax.AutoWord) else "..."


def without_quotes(
    node: syntax.Value, words: Sequence[str], numeric: bool = False
) -> str | None:
    """Returns the help line for a number or a word that was put in quotes."""
    if not isinstance(node, syntax.String):
        return None
    meant = node.value in words or (numeric and re.fullmatch(NUMBER, node.value))
    return f"write `{node.value}` without quotes" if meant else None


def wanted(field: Field) -> str:
    """Says what an argument takes, for the `expected` line.

    Example:
        >>> from diamond.dsl.vocabulary import fields, Local
        >>> wanted(next(fields.fields_of(Local)))
        'a whole number of steps, at least 1'
    """
    meaning = field.meaning
    if field.item:
        return 'a list of strings, such as `["*norm*", "head/*"]`'
    if meaning.numbers:
        return listed(str(number) for number in meaning.numbers)
    if meaning.choices:
        return listed(meaning.choices)
    if meaning.identifier:
        return "a name, without quotes"
    if bool in field.kinds:
        return "`true` or `false`"
    if str in field.kinds:
        return "a string in quotes"
    return _wanted_number(field, meaning)


def _wanted_number(field: Field, meaning: Argument) -> str:
    noun = "a number" if float in field.kinds else "a whole number"
    if meaning.unit == "steps":
        noun += " of steps"
    elif meaning.unit is not None:
        what, example, _ = units.MEASURES[meaning.unit]
        noun = f"{what}, such as {example}"
    return ", ".join([noun, *_limits(meaning)])


def _limits(meaning: Argument) -> Iterator[str]:
    low, high = meaning.minimum, meaning.maximum
    if low is not None and high is not None:
        yield f"from {shown(low)} to {shown(high)}"
    elif low is not None:
        yield f"at least {shown(low)}"
    if meaning.above is not None:
        yield f"above {shown(meaning.above)}"
    if high is not None and low is None:
        yield f"at most {shown(high)}"
    if meaning.multiple is not None:
        yield f"a multiple of {meaning.multiple}"
