"""`include NAME`: the settings of a preset, below those that a block writes itself."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from diamond.dsl import syntax
from diamond.dsl.check_context import Context, Hole, Path
from diamond.dsl.check_names import Owner, given_twice
from diamond.dsl.check_terms import read_arguments
from diamond.dsl.presets import PRESETS, block_of
from diamond.dsl.source import Span
from diamond.dsl.suggest import did_you_mean, listed
from diamond.dsl.vocabulary.fields import Field, fields_of
from diamond.dsl.vocabulary.scheme import Replicas

SETTINGS: tuple[Field, ...] = tuple(f for f in fields_of(Replicas) if f.name != "axis")


def preset(name: str, axis: str) -> Replicas:
    """Returns the replicas over an axis that a preset makes.

    Args:
        name: A known algorithm, such as `diloco` or `powersgd`.
        axis: The axis of the mesh that they are laid over.

    Raises:
        ValueError: If there is no preset of this name, or the axis has no name.

    Example:
        >>> preset("diloco", axis="site").consistency.every
        500
    """
    values = _values(name)
    if values is None:
        hint = did_you_mean(name, _names()) or f"there are {listed(_names(), 'and')}"
        raise ValueError(f"there is no preset `{name}`: {hint}")
    return Replicas(axis, **values)


def _names() -> list[str]:
    return [preset.name for preset in PRESETS]


def _values(name: str) -> dict[str, Any] | None:
    block = block_of(name)
    if block is None:
        return None
    items = [one for one in block.statements if isinstance(one, syntax.Setting)]
    ctx = Context()
    values = read_arguments(items, SETTINGS, Owner("replicas", (), Span(0, 0)), ctx)
    assert not isinstance(values, Hole) and not ctx.found, ctx.found
    return values


def fields_with(block: syntax.Block, path: Path, ctx: Context) -> tuple[Field, ...]:
    """Returns the settings of a block, with the values of its preset as defaults.

    What is wrong with an `include` is reported.
    """
    includes = [one for one in block.statements if isinstance(one, syntax.Include)]
    if not includes:
        return SETTINGS
    include, *others = includes
    for other in others:
        given_twice("`include`", other.name, include.name, ctx)
    if block.statements[0] is not include:
        _not_first(include, ctx)
    values = _values(include.name.text)
    if values is None:
        _unknown(include.name, ctx)
        ctx.holes.add(path)
        return SETTINGS
    _place(include.name, block, path, ctx)
    return _with_defaults(values)


def _with_defaults(values: Mapping[str, Any]) -> tuple[Field, ...]:
    return tuple(replace(field, default=values[field.name]) for field in SETTINGS)


def _place(name: syntax.Name, block: syntax.Block, path: Path, ctx: Context) -> None:
    """Makes `include` the place of what the preset sets and the block does not."""
    own = {one.name.text for one in block.statements if isinstance(one, syntax.Setting)}
    for field in SETTINGS:
        if field.name not in own:
            ctx.places[(*path, field.name)] = name.span


def _not_first(include: syntax.Include, ctx: Context) -> None:
    ctx.report(
        "D086",
        f"`include {include.name.text}` is not the first statement of its block",
        include.span,
        expected="`include` before the settings that override it",
        help="move it up",
    )


def _unknown(name: syntax.Name, ctx: Context) -> None:
    ctx.report(
        "D085",
        f"there is no preset `{name.text}`",
        name.span,
        expected=listed(_names()),
        help=did_you_mean(name.text, _names()),
    )
