"""Reading blocks, and what they make of the scheme."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from diamond.dsl import syntax
from diamond.dsl.check_axes import read_axes, read_links, read_rules, read_strategies
from diamond.dsl.check_context import HOLE, Context, Hole, Path
from diamond.dsl.check_forms import block_path, form_of, head_fits, only
from diamond.dsl.check_names import (
    Item,
    Owner,
    given_twice,
    plain,
    unknown_term,
)
from diamond.dsl.check_terms import build, read_arguments
from diamond.dsl.include import fields_with
from diamond.dsl.vocabulary.blocks import BlockForm
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.scheme import (
    Axis,
    Distill,
    Link,
    Parallel,
    Replicas,
    Shard,
    Train,
)
from diamond.dsl.vocabulary.tables import row_of


@dataclass(slots=True)
class Parts:
    """The parts of a scheme as they are read, block by block."""

    model: Any = None
    data: Any = None
    train: Train = field(default_factory=Train)
    mesh: list[Axis] = field(default_factory=list)
    hardware: list[Link] = field(default_factory=list)
    parallelism: list[Parallel] = field(default_factory=list)
    replicas: list[Replicas] = field(default_factory=list)
    distill: Distill | None = None
    shards: list[Shard] = field(default_factory=list)
    blocks: dict[Path, syntax.Block] = field(default_factory=dict)


def read_block(block: syntax.Block, parts: Parts, ctx: Context) -> None:
    """Reads one block into the parts, or reports why it cannot be read."""
    form = form_of(block, ctx)
    if form is None:
        return
    if not head_fits(block, form, ctx):
        ctx.holes.add((form.word,))
    elif _is_first(block, parts, ctx):
        _read_body(block, form, parts, ctx)


def _is_first(block: syntax.Block, parts: Parts, ctx: Context) -> bool:
    path = block_path(block)
    first = parts.blocks.setdefault(path, block)
    if first is block:
        ctx.places[path] = (block.over or block.label or block.word).span
        return True
    what = " over ".join(f"`{word}`" for word in path)
    given_twice(what, block.over or block.word, first.over or first.word, ctx)
    return False


def _read_body(
    block: syntax.Block, form: BlockForm, parts: Parts, ctx: Context
) -> None:
    match form.body:
        case "axes":
            parts.mesh += read_axes(only(syntax.Setting, block, form, ctx), ctx)
        case "links":
            links = only(syntax.LinkSetting, block, form, ctx)
            parts.hardware += read_links(links, ctx)
        case "strategies":
            laid = only(syntax.StrategySetting, block, form, ctx, syntax.ShardRule)
            parts.parallelism += read_strategies(laid, ctx)
            rules = [s for s in block.statements if isinstance(s, syntax.ShardRule)]
            parts.shards += read_rules(rules, ctx)
        case "settings":
            items = only(syntax.Setting, block, form, ctx)
            _read_settings(block, form, items, parts, ctx)


def _read_settings(
    block: syntax.Block,
    form: BlockForm,
    items: Sequence[Item],
    parts: Parts,
    ctx: Context,
) -> None:
    if form.head == "term":
        assert block.label is not None
        value = _read_named(block.label, form.word, items, ctx)
        setattr(parts, form.word, None if value is HOLE else value)
        return
    if block.over is not None:
        parts.replicas.append(_read_replicas(block, block.over, items, ctx))
        return
    assert form.term is not None
    owner = Owner(form.word, (form.word,), block.word.span, settings=True)
    values = read_arguments(items, tuple(fields_of(form.term)), owner, ctx)
    assert not isinstance(values, Hole), f"settings of `{form.word}` have defaults"
    setattr(parts, form.word, form.term(**values))


def _read_named(
    label: syntax.Name, family: str, items: Sequence[Item], ctx: Context
) -> Any:
    row = row_of(label.text, family)
    if row is None:
        value = unknown_term(label, family, f"`{family}`", ctx)
    else:
        value = build(row, family, label, items, (family,), ctx, settings=True)
    if value is HOLE:
        ctx.holes.add((family,))
    return value


def _read_replicas(
    block: syntax.Block, over: syntax.Name, items: Sequence[Item], ctx: Context
) -> Replicas:
    path = ("replicas", over.text)
    fields = fields_with(block, path, ctx)
    owner = Owner("replicas", path, over.span, settings=True)
    values = read_arguments(items, fields, owner, ctx)
    assert not isinstance(values, Hole), "every setting of `replicas` has a default"
    return Replicas(plain(over.text), **values)
