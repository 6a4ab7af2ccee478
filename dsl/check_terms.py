"""Reading terms: words and calls of a family, with their arguments."""

import dataclasses
from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

from diamond.dsl import syntax, units
from diamond.dsl.check_context import HOLE, Context, Hole, Path, Where
from diamond.dsl.check_names import (
    Item,
    Owner,
    built_words,
    given_twice,
    missing,
    no_term,
    refuse_auto,
    refuse_term,
    split,
    unknown_argument,
    unknown_term,
)
from diamond.dsl.check_optimizers import read_optimizer
from diamond.dsl.check_values import no_list, read_plain, wrong_unit
from diamond.dsl.describe import wanted, written
from diamond.dsl.suggest import listed, nearest
from diamond.dsl.vocabulary.fields import Argument, Field, fields_of
from diamond.dsl.vocabulary.schedule import Scheduled
from diamond.dsl.vocabulary.tables import FAMILIES, Row, row_of

_LENGTH = Field("for", Argument("", unit="steps", minimum=1), int, MISSING)


def read_value(node: syntax.Value, field: Field, where: Where, ctx: Context) -> Any:
    """Reads the value of an argument or a setting, or reports why it is none.

    Returns:
        A number, a string, a truth value, a term, a schedule of terms, or a hole.
    """
    ctx.places.setdefault(where.path, node.span)
    if not ctx.admit(node.span):
        return HOLE
    if isinstance(node, syntax.Name) and _is_constant(node, field, ctx):
        return ctx.follow(node, where, lambda v: read_value(v, field, where, ctx))
    if isinstance(node, syntax.AutoWord) and "auto" not in field.meaning.choices:
        return refuse_auto(node.span, where, _wanted(field), field.required, ctx)
    if isinstance(node, syntax.ScheduleNode):
        return _read_schedule(node, field, where, ctx)
    if field.meaning.family == "optimizer":
        return read_optimizer(node, where, ctx)
    if field.meaning.family is not None:
        return read_term(node, field.meaning.family, where, ctx)
    if field.item is not None:
        value = _read_list(node, field, field.item, where, ctx)
    else:
        value = read_plain(node, field, where, ctx)
    if value is not HOLE and not field.meaning.built and value != field.default:
        _refuse_argument(node, field, where, ctx)
    return value


def _wanted(field: Field) -> str:
    family = field.meaning.family
    if family == "optimizer":
        return "an optimizer of optax, such as `adamw(lr = 3e-4)`"
    return listed(built_words(family)) if family else wanted(field)


def _is_constant(node: syntax.Name, field: Field, ctx: Context) -> bool:
    """Whether a name stands for a constant here: words of the language go first."""
    rows = FAMILIES.get(field.meaning.family or "", ())
    if node.text in field.meaning.choices or any(r.name == node.text for r in rows):
        return False
    return ctx.is_constant(node.text)


def _refuse_argument(
    node: syntax.Value, field: Field, where: Where, ctx: Context
) -> None:
    ctx.report(
        "D036",
        f"`{field.name} = {written(node)}` of `{where.owner}` is part of the "
        "language, but this release does not implement it",
        node.span,
        expected=f"`{field.default}`, the default",
        help=f"leave `{field.name}` out",
    )


def _read_list(
    node: syntax.Value, field: Field, item: Field, where: Where, ctx: Context
) -> Any:
    if not isinstance(node, syntax.ListNode):
        return no_list(node, field, where, ctx)
    values = [
        read_value(each, item, where.part(str(place), f"an item of {where}"), ctx)
        for place, each in enumerate(node.items)
    ]
    return HOLE if HOLE in values else tuple(values)


def _read_schedule(
    node: syntax.ScheduleNode, field: Field, where: Where, ctx: Context
) -> Any:
    if not field.meaning.schedulable:
        return ctx.report(
            "D033",
            f"{where} cannot be scheduled",
            node.span,
            expected="one value",
            help="`X for N steps, then Y` stands for a whole clause of `replicas`",
        )
    meaning = dataclasses.replace(field.meaning, schedulable=False)
    single = dataclasses.replace(field, meaning=meaning)
    values = [
        read_value(value, single, where.part(str(index)), ctx)
        for index, (value, _) in enumerate(node.phases)
    ]
    lengths = [_read_length(length, where, ctx) for _, length in node.phases[:-1]]
    if HOLE in values or HOLE in lengths:
        return HOLE
    return Scheduled(tuple(zip(values, [*lengths, None], strict=True)))


def _read_length(node: syntax.Length | None, where: Where, ctx: Context) -> Any:
    assert node is not None, "only the last phase of a schedule has no length"
    owner = where.path[-1]
    words = f"the length of a phase of `{owner}`"
    place = where.part(f"for {node.span.start}", words)
    if isinstance(node, syntax.Measured):
        misfit = units.to_base(1, node.unit.text, "steps")
        if isinstance(misfit, units.Misfit):
            return wrong_unit(misfit, node.span, place, ctx)
        node = node.name
    return read_value(node, _LENGTH, place, ctx)


def read_term(node: syntax.Value, family: str, where: Where, ctx: Context) -> Any:
    """Reads a term of a family: a word, or a call with arguments."""
    if not isinstance(node, syntax.Name | syntax.CallNode):
        return no_term(node, family, where, ctx)
    name, arguments = split(node)
    row = row_of(name.text, family)
    if row is None:
        return unknown_term(name, family, str(where), ctx, arguments)
    return build(row, family, name, arguments, where.path, ctx)


def build(
    row: Row,
    family: str,
    name: syntax.Name,
    items: Sequence[Item],
    path: Path,
    ctx: Context,
    settings: bool = False,
) -> Any:
    """Reads the arguments of a term and makes it, or reports why it cannot be made."""
    if not row.built:
        refuse_term(name, family, ctx)
    owner = Owner(row.name, path, name.span, settings)
    values = read_arguments(items, tuple(fields_of(row.term)), owner, ctx)
    return HOLE if values is HOLE else row.term(**values)


def read_arguments(
    items: Sequence[Item], fields: Sequence[Field], owner: Owner, ctx: Context
) -> dict[str, Any] | Hole:
    """Reads named values against the fields of a term, and reports what is missing.

    A value that could not be read is replaced by its default and noted as a hole.
    """
    given, meant = _by_name(items, fields, owner, ctx)
    values: dict[str, Any] = {}
    for field in fields:
        path = (*owner.path, field.name)
        values[field.name] = field.default
        if field.name in given:
            where = Where(owner.word, field.name, path)
            values[field.name] = read_value(given[field.name], field, where, ctx)
        elif field.required:
            values[field.name] = HOLE
            if field.name not in meant:
                missing(field, owner, ctx)
        if values[field.name] is HOLE and not field.required:
            ctx.holes.add(path)
            values[field.name] = field.default
    return HOLE if HOLE in values.values() else values


def _by_name(
    items: Sequence[Item], fields: Sequence[Field], owner: Owner, ctx: Context
) -> tuple[dict[str, syntax.Value], set[str | None]]:
    """Returns the values by their names, and the names that misspelt ones mean."""
    given: dict[str, Item] = {}
    meant: set[str | None] = set()
    for item in items:
        name = item.name
        if name.text in given:
            given_twice(f"`{name.text}`", name, given[name.text].name, ctx)
        elif any(field.name == name.text for field in fields):
            given[name.text] = item
        else:
            unknown_argument(name, fields, owner, ctx)
            meant.add(nearest(name.text, [field.name for field in fields]))
    return {name: item.value for name, item in given.items()}, meant
