"""Putting a value into another: into the arguments of a term, at any depth."""

import dataclasses
from collections.abc import Sequence

from diamond.dsl import syntax
from diamond.dsl.describe import described
from diamond.dsl.emit import format_term
from diamond.dsl.fragments import parse_statement, placed
from diamond.dsl.refused import refuse
from diamond.dsl.source import Span
from diamond.dsl.vocabulary.fields import Field, field_of
from diamond.dsl.vocabulary.optimizers import signature_of
from diamond.dsl.vocabulary.tables import row_of

Names = tuple[syntax.Name, ...]


def put_in_value(
    file: syntax.File,
    old: syntax.Value | None,
    path: Names,
    new: syntax.Value,
    family: str | None,
) -> syntax.Value:
    """Returns `old` with `new` at the end of a path of argument names.

    Args:
        file: The file, for the constants that `old` may name.
        old: The value as it was written, or as its default is; None for neither.
        path: Names of arguments, from the outermost call to the innermost.
        new: The value to put.
        family: The family that `old` is a member of, where it is a term.

    Raises:
        Refused: If the path leads nowhere.
    """
    if not path:
        return new
    old = _without_constants(file, old)
    if isinstance(old, syntax.ScheduleNode):
        return _put_in_phase(file, old, path, new, family)
    if isinstance(old, syntax.Name):
        old = syntax.CallNode(old, (), old.span)
    if not isinstance(old, syntax.CallNode):
        what = described(old) if old else "nothing that is written here"
        refuse(f"{what} has no argument `{path[0].text}` to set", path[0], [])
    return _put_in_call(file, old, path, new, family)


def _without_constants(
    file: syntax.File, node: syntax.Value | None
) -> syntax.Value | None:
    lets = {i.name.text: i.value for i in file.items if isinstance(i, syntax.Let)}
    for _ in lets:
        if not (isinstance(node, syntax.Name) and node.text in lets):
            break
        node = lets[node.text]
    return node


def _put_in_phase(
    file: syntax.File,
    old: syntax.ScheduleNode,
    path: Names,
    new: syntax.Value,
    family: str | None,
) -> syntax.Value:
    """Puts a value into the only phase of a schedule that has such an argument."""
    values = [_without_constants(file, value) for value, _ in old.phases]
    taking = [i for i, v in enumerate(values) if _takes(v, path[0].text, family)]
    if len(taking) != 1:
        count = "no phase" if not taking else f"{len(taking)} phases"
        message = f"{count} of the schedule can take `{path[0].text}`"
        refuse(message, path[0], [], "set the whole value")
    phases = list(old.phases)
    [place] = taking
    edited = put_in_value(file, values[place], path, new, family)
    phases[place] = (edited, phases[place][1])
    return dataclasses.replace(old, phases=tuple(phases))


def _takes(node: syntax.Value | None, argument: str, family: str | None) -> bool:
    if not isinstance(node, syntax.Name | syntax.CallNode):
        return False
    name = node.text if isinstance(node, syntax.Name) else node.name.text
    return argument_of(name, argument, family) is not None


def _put_in_call(
    file: syntax.File,
    call: syntax.CallNode,
    path: Names,
    new: syntax.Value,
    family: str | None,
) -> syntax.Value:
    name, rest = path[0], path[1:]
    same = _spellings(call.name.text, name.text)
    places = [i for i, one in enumerate(call.arguments) if one.name.text in same]
    field = argument_of(call.name.text, name.text, family)
    inner = field.meaning.family if field else None
    if places:
        old = call.arguments[places[0]]
        edited = put_in_value(file, old.value, rest, new, inner)
        given = dataclasses.replace(old, value=edited)
        arguments = _swapped(call.arguments, places[0], given)
    else:
        edited = put_in_value(file, default_of(field, name.span), rest, new, inner)
        span = name.span.to(new.span)
        arguments = (*call.arguments, syntax.NamedValue(name, edited, span))
    return dataclasses.replace(call, arguments=arguments)


def _swapped(
    arguments: Sequence[syntax.NamedValue], place: int, new: syntax.NamedValue
) -> tuple[syntax.NamedValue, ...]:
    return (*arguments[:place], new, *arguments[place + 1 :])


def _spellings(call: str, argument: str) -> set[str | None]:
    """Returns the names that mean the same argument, such as `lr`."""
    signature = signature_of(call)
    parameter = signature.parameter(argument) if signature else None
    return {parameter.name, parameter.alias} if parameter else {argument}


def argument_of(word: str, argument: str, family: str | None) -> Field | None:
    """Returns what an argument of a member of a family takes, if it has it."""
    row = row_of(word, family or "")
    return field_of(row.term, argument) if row else None


def default_of(field: Field | None, span: Span) -> syntax.Value | None:
    """Returns the default of an argument as it would be written, if it has one.

    Its place is that of the override which asks for a part of it.
    """
    if field is None or field.required or field.default is None:
        return None
    item, _ = parse_statement(format_term(field.default), "let it = ")
    assert isinstance(item, syntax.Let)
    return placed(item.value, span)
