"""Reading what is said of axes: sizes, links, strategies."""

from collections.abc import Sequence
from typing import Any

from diamond.dsl import syntax
from diamond.dsl.check_context import HOLE, Context, Where
from diamond.dsl.check_names import given_twice, plain
from diamond.dsl.check_terms import read_term, read_value
from diamond.dsl.diagnostics import Label
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.scheme import Axis, Link, Parallel, Shard


def read_axes(items: Sequence[syntax.Setting], ctx: Context) -> list[Axis]:
    """Reads the axes of `mesh`, with their sizes."""
    axes: dict[str, Axis] = {}
    names: dict[str, syntax.Name] = {}
    _, size = fields_of(Axis)
    for item in items:
        name, path = item.name.text, ("mesh", item.name.text)
        if name in axes:
            given_twice(f"axis `{name}`", item.name, names[name], ctx)
            continue
        names[name] = item.name
        where = Where("mesh", name, path, f"the size of axis `{name}`")
        value = read_value(item.value, size, where, ctx)
        if value is HOLE:
            ctx.holes.add(path)
        axes[name] = Axis(plain(name), 1 if value is HOLE else value)
    return list(axes.values())


def read_links(items: Sequence[syntax.LinkSetting], ctx: Context) -> list[Link]:
    """Reads the links of `hardware`."""
    links: list[Link] = []
    names: dict[str, syntax.Name] = {}
    for item in items:
        axis = item.axis.text
        if axis in names:
            given_twice(f"`link {axis}`", item.axis, names[axis], ctx)
            continue
        names[axis] = item.axis
        ctx.places[("hardware", axis)] = item.axis.span
        values = _read_link(item, ctx)
        if HOLE not in values.values():
            links.append(Link(plain(axis), **values))
    return links


def _read_link(item: syntax.LinkSetting, ctx: Context) -> dict[str, Any]:
    fields = [f for f in fields_of(Link) if f.name != "axis"]
    path = ("hardware", item.axis.text)
    for extra in item.values[len(fields) :]:
        ctx.report(
            "D039",
            f"`link {item.axis.text}` takes a bandwidth and a latency, and no more",
            extra.span,
            expected="a link such as `link site = 1 Gbit/s, 30 ms`",
        )
    return {
        f.name: read_value(
            node, f, Where(f"link {item.axis.text}", f.name, (*path, f.name)), ctx
        )
        for f, node in zip(fields, item.values, strict=False)
    }


def read_strategies(
    items: Sequence[syntax.StrategySetting], ctx: Context
) -> list[Parallel]:
    """Reads the strategies of `parallelism`."""
    laid: list[Parallel] = []
    names: dict[str, syntax.Name] = {}
    for item in items:
        axis = item.axis.text
        path = ("parallelism", axis)
        where = Where("parallelism", axis, path)
        if axis in names:
            _two_strategies(item, names[axis], ctx)
            read_term(item.strategy, "strategy", where, ctx)
            continue
        names[axis] = item.axis
        ctx.places[path] = item.axis.span
        value = read_term(item.strategy, "strategy", where, ctx)
        if value is HOLE:
            ctx.holes.add(path)
        else:
            laid.append(Parallel(value, plain(axis)))
    return laid


def read_rules(items: Sequence[syntax.ShardRule], ctx: Context) -> list[Shard]:
    """Reads the rules of `parallelism` that name the dims of parameters."""
    for place, item in enumerate(items):
        path = ("shards", str(place))
        ctx.places[path] = item.pattern.span
        for dim, name in enumerate(item.dims):
            ctx.places[(*path, str(dim))] = name.span
    return [
        Shard(item.pattern.value, tuple(plain(name.text) for name in item.dims))
        for item in items
    ]


def _two_strategies(
    item: syntax.StrategySetting, first: syntax.Name, ctx: Context
) -> None:
    ctx.report(
        "D041",
        f"axis `{item.axis.text}` has two strategies",
        item.axis.span,
        help="give each strategy an axis of its own",
        labels=(Label(first.span, "given to another strategy here"),),
    )
