"""Reading optimizers and schedules of the learning rate against optax's signatures."""

from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

from diamond.dsl import syntax
from diamond.dsl.check_context import HOLE, Context, Hole, Where
from diamond.dsl.check_names import given_twice, refuse_auto, split, used_too_early
from diamond.dsl.check_values import read_plain
from diamond.dsl.describe import described, without_quotes
from diamond.dsl.suggest import did_you_mean, listed, nearest, shorten
from diamond.dsl.vocabulary.fields import Argument, Field
from diamond.dsl.vocabulary.optimizers import (
    OPTIMIZERS,
    SCHEDULES,
    Parameter,
    Signature,
)
from diamond.dsl.vocabulary.training import Call

HINTS = {"number": float, "integer": int, "boolean": bool, "string": str}


def read_optimizer(
    node: syntax.Value,
    where: Where,
    ctx: Context,
    table: Sequence[Signature] = OPTIMIZERS,
) -> Call | Hole:
    """Reads an optimizer, or a schedule where `table` is that of the schedules."""
    if not isinstance(node, syntax.Name | syntax.CallNode):
        return _no_call(node, where, table, ctx)
    name, arguments = split(node)
    signature = next((s for s in table if s.name == name.text), None)
    if signature is None:
        return _unknown_call(name, where, table, ctx)
    ctx.depth += 1
    call = _read_call(signature, name, arguments, where, ctx)
    ctx.depth -= 1
    return call


def _read_call(
    signature: Signature,
    name: syntax.Name,
    items: Sequence[syntax.NamedValue],
    where: Where,
    ctx: Context,
) -> Call | Hole:
    given: dict[str, syntax.Name] = {}
    meant: set[str | None] = set()
    values: list[tuple[str, Any]] = []
    for item in items:
        parameter = signature.parameter(item.name.text)
        if parameter is None:
            meant.add(_unknown_parameter(signature, item.name, ctx))
        elif parameter.name in given:
            first = given[parameter.name]
            given_twice(f"`{parameter.name}`", item.name, first, ctx)
        else:
            given[parameter.name] = item.name
            place = Where(name.text, item.name.text, (*where.path, parameter.name))
            value = read_parameter(item.value, parameter, place, ctx)
            values.append((parameter.name, value))
    lacks = [p for p in signature.parameters if p.required and p.name not in given]
    for parameter in lacks:
        if meant & {parameter.name, parameter.alias}:
            continue
        _missing_parameter(parameter, name, ctx)
    broken = bool(lacks) or any(value is HOLE for _, value in values)
    return HOLE if broken else Call(name.text, tuple(values))


def read_parameter(
    node: syntax.Value, parameter: Parameter, where: Where, ctx: Context
) -> Any:
    """Reads the value of an argument of an optax function."""
    ctx.places.setdefault(where.path, node.span)
    if not ctx.admit(node.span):
        return HOLE
    if isinstance(node, syntax.Name) and ctx.is_constant(node.text):
        return ctx.follow(
            node, where, lambda value: read_parameter(value, parameter, where, ctx)
        )
    if isinstance(node, syntax.ScheduleNode):
        return _refuse_schedule(node, parameter, where, ctx)
    if isinstance(node, syntax.AutoWord):
        return refuse_auto(node.span, where, None, parameter.required, ctx)
    if parameter.kind == "schedule" and not isinstance(node, syntax.Number):
        return read_optimizer(node, where, ctx, SCHEDULES)
    return read_plain(node, _field(node, parameter), where, ctx)


def _field(node: syntax.Value, parameter: Parameter) -> Field:
    counted = isinstance(node, syntax.Number) and node.unit in ("steps", "step")
    whole = parameter.kind == "integer"
    meaning = Argument("", unit="steps" if whole and counted else None)
    hint = HINTS.get(parameter.kind, float)
    return Field(parameter.name, meaning, hint, MISSING)


def _no_call(
    node: syntax.Value, where: Where, table: Sequence[Signature], ctx: Context
) -> Hole:
    return ctx.report(
        "D024",
        f"{where} cannot be {described(node)}",
        node.span,
        expected=_examples(table),
        help=without_quotes(node, [s.name for s in table], table is SCHEDULES),
    )


def _refuse_schedule(
    node: syntax.ScheduleNode, parameter: Parameter, where: Where, ctx: Context
) -> Hole:
    takes_schedule = parameter.kind == "schedule"
    return ctx.report(
        "D033",
        f"{where} cannot be scheduled by `X for N steps, then Y`",
        node.span,
        expected=_examples(SCHEDULES) if takes_schedule else "one value",
    )


def _examples(table: Sequence[Signature]) -> str:
    if table is OPTIMIZERS:
        return "an optimizer of optax, such as `adamw(lr = 3e-4)`"
    return "a number, or a schedule such as `warmup_cosine(peak = 3e-4, warmup = 200)`"


def _unknown_call(
    name: syntax.Name, where: Where, table: Sequence[Signature], ctx: Context
) -> Hole:
    if name.text in ctx.lets:
        return used_too_early(name, ctx)
    other = SCHEDULES if table is OPTIMIZERS else OPTIMIZERS
    misplaced = any(signature.name == name.text for signature in other)
    kind = "an optimizer" if other is OPTIMIZERS else "a schedule"
    return ctx.report(
        "D023",
        f"{where} cannot be `{shorten(name.text)}`"
        + (f", which is {kind}" if misplaced else ""),
        name.span,
        expected=_examples(table),
        help=did_you_mean(name.text, [*ctx.defined, *(s.name for s in table)]),
    )


def _unknown_parameter(
    signature: Signature, name: syntax.Name, ctx: Context
) -> str | None:
    """Reports an argument that optax's function lacks; returns the one that is near."""
    names = [p.word for p in signature.parameters]
    aliased = [p.name for p in signature.parameters if p.alias]
    ctx.report(
        "D021",
        f"`{signature.name}` has no argument `{shorten(name.text)}`",
        name.span,
        expected=listed(names) or "no arguments",
        help=did_you_mean(name.text, [*names, *aliased]),
    )
    return nearest(name.text, [*names, *aliased])


def _missing_parameter(parameter: Parameter, name: syntax.Name, ctx: Context) -> None:
    takes = {"schedule": "a number or a schedule", "integer": "a whole number"}
    ctx.report(
        "D025",
        f"`{name.text}` needs its argument `{parameter.word}`",
        name.span,
        expected=f"{takes.get(parameter.kind, 'a ' + parameter.kind)}",
        help=f"write `{name.text}({parameter.word} = ...)`",
    )
