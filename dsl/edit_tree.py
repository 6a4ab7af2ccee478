"""Putting a value into a syntax tree, at the end of a path."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from diamond.dsl import syntax
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.edit_paths import path_meant, setting_of
from diamond.dsl.edit_value import default_of, put_in_value
from diamond.dsl.fragments import placed
from diamond.dsl.presets import block_of
from diamond.dsl.refused import Refused, refuse
from diamond.dsl.source import Span
from diamond.dsl.vocabulary.blocks import BLOCKS, BlockForm, form_named

Names: TypeAlias = tuple[syntax.Name, ...]
Laid = TypeVar("Laid", syntax.LinkSetting, syntax.StrategySetting)
LINK_PARTS = ("bandwidth", "latency")


@dataclass(frozen=True, slots=True)
class Target:
    """An override: a path, and the values to put at its end (two for a link)."""

    path: Names
    values: tuple[syntax.Value, ...]

    @property
    def span(self) -> Span:
        """The place of the whole override."""
        return self.path[0].span.to(self.values[-1].span)


def put(file: syntax.File, target: Target) -> tuple[syntax.File, Diagnostic | None]:
    """Returns the tree with the value put in, or the tree as it was and the reason."""
    try:
        if len(target.path) == 1:
            return _put_constant(file, target), None
        return _put_in_block(file, target), None
    except Refused as refused:
        return file, refused.diagnostic


def _put_constant(file: syntax.File, target: Target) -> syntax.File:
    [name], [value] = target.path, target.values
    lets = [item for item in file.items if isinstance(item, syntax.Let)]
    if all(let.name.text != name.text for let in lets):
        known = [let.name.text for let in lets]
        paths = "a setting has a path, such as `train.steps` or `mesh.site`"
        meant = path_meant(file, name.text)
        nearby = [] if meant else known
        refuse(
            f"there is no constant `{name.text}` to set", name, nearby, meant or paths
        )
    items = tuple(
        dataclasses.replace(item, value=value)
        if isinstance(item, syntax.Let) and item.name.text == name.text
        else item
        for item in file.items
    )
    return dataclasses.replace(file, items=items)


def _put_in_block(file: syntax.File, target: Target) -> syntax.File:
    word, *_ = target.path
    form = form_named(word.text)
    if form is None:
        refuse(f"there is no block `{word.text}`", word, [f.word for f in BLOCKS])
    place, file = _find_block(file, form, target.path)
    block = file.items[place]
    assert isinstance(block, syntax.Block)
    edit = {
        "axes": _put_axis,
        "links": _put_link,
        "strategies": _put_strategy,
        "settings": _put_setting,
    }[form.body]
    statements = edit(file, block, target)
    edited = dataclasses.replace(block, statements=statements)
    items = (*file.items[:place], edited, *file.items[place + 1 :])
    return dataclasses.replace(file, items=items)


def _find_block(
    file: syntax.File, form: BlockForm, path: Names
) -> tuple[int, syntax.File]:
    """Returns the place of a block; `train` is added where a file has none."""
    found = {
        item.over.text if item.over else "": place
        for place, item in reversed(list(enumerate(file.items)))
        if isinstance(item, syntax.Block) and item.word.text == form.word
    }
    axis = path[1].text if form.head == "axis" else ""
    if axis in found:
        return found[axis], file
    if form.head == "axis":
        refuse(f"there is no `replicas over {axis}` to set", path[1], [*found])
    if form.head == "term" or form.body != "settings":
        refuse(f"the scheme has no `{form.word}` block to set", path[0], [])
    block = syntax.Block(path[0], None, None, (), path[0].span)
    return len(file.items), dataclasses.replace(file, items=(*file.items, block))


Edit: TypeAlias = Callable[
    [syntax.File, syntax.Block, Target], tuple[syntax.Statement, ...]
]


def _put_axis(
    file: syntax.File, block: syntax.Block, target: Target
) -> tuple[syntax.Statement, ...]:
    name = target.path[1]
    known = [s.name.text for s in block.statements if isinstance(s, syntax.Setting)]
    if name.text not in known:
        refuse(f"there is no axis `{name.text}` to set", name, known)
    return _put_setting(file, block, target)


def _put_link(
    file: syntax.File, block: syntax.Block, target: Target
) -> tuple[syntax.Statement, ...]:
    axis, rest = target.path[1], target.path[2:]
    link = _laid(syntax.LinkSetting, block, axis, f"`link {axis.text}`")
    values = _link_values(link, rest, target)
    return _swapped(block, link, dataclasses.replace(link, values=values))


def _laid(kind: type[Laid], block: syntax.Block, axis: syntax.Name, what: str) -> Laid:
    """Returns the statement of a block about an axis."""
    laid = [one for one in block.statements if isinstance(one, kind)]
    found = next((one for one in laid if one.axis.text == axis.text), None)
    if found is None:
        known = [one.axis.text for one in laid]
        refuse(f"there is no {what} to set", axis, known)
    return found


def _link_values(
    link: syntax.LinkSetting, rest: Names, target: Target
) -> tuple[syntax.Value, ...]:
    if not rest:
        return target.values
    if len(rest) > 1 or rest[0].text not in LINK_PARTS:
        refuse(f"a link has no `{rest[-1].text}`", rest[-1], list(LINK_PARTS))
    place = LINK_PARTS.index(rest[0].text)
    return (*link.values[:place], *target.values, *link.values[place + 1 :])


def _put_strategy(
    file: syntax.File, block: syntax.Block, target: Target
) -> tuple[syntax.Statement, ...]:
    axis, rest = target.path[1], target.path[2:]
    found = _laid(syntax.StrategySetting, block, axis, f"strategy over `{axis.text}`")
    [value] = target.values
    edited = put_in_value(file, found.strategy, rest, value, "strategy")
    if not isinstance(edited, syntax.Name | syntax.CallNode):
        refuse("a strategy is a word or a call", axis, [])
    return _swapped(block, found, dataclasses.replace(found, strategy=edited))


def _put_setting(
    file: syntax.File, block: syntax.Block, target: Target
) -> tuple[syntax.Statement, ...]:
    head = 2 if block.over else 1
    if len(target.path) == head:
        refuse(
            f"`{block.word.text}` is a block: set one of its settings",
            target.path[-1],
            [],
        )
    name, rest = target.path[head], target.path[head + 1 :]
    [value] = target.values
    settings = [s for s in block.statements if isinstance(s, syntax.Setting)]
    found = next((s for s in settings if s.name.text == name.text), None)
    field = setting_of(block, name.text)
    family = field.meaning.family if field else None
    old = found.value if found else _included(block, name)
    old = old or default_of(field, name.span)
    edited = put_in_value(file, old, rest, value, family)
    setting = syntax.Setting(name, edited, name.span.to(value.span))
    if found is None:
        return (*block.statements, setting)
    return _swapped(block, found, dataclasses.replace(found, value=edited))


def _included(block: syntax.Block, name: syntax.Name) -> syntax.Value | None:
    """Returns what the preset that a block includes has for a setting."""
    names = [s.name.text for s in block.statements if isinstance(s, syntax.Include)]
    preset = block_of(names[0]) if names else None
    settings = preset.statements if preset else ()
    values = (
        one.value
        for one in settings
        if isinstance(one, syntax.Setting) and one.name.text == name.text
    )
    return placed(next(values, None), name.span)


def _swapped(
    block: syntax.Block, old: syntax.Statement, new: syntax.Statement
) -> tuple[syntax.Statement, ...]:
    return tuple(new if one is old else one for one in block.statements)
