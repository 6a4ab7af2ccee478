"""Parsing one value on its own, outside of a file."""

import dataclasses
from typing import TypeVar, cast

from diamond.dsl import syntax
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.parser import parse
from diamond.dsl.source import Source, Span

T = TypeVar("T")


def parse_statement(
    text: str, before: str, at: int = 0
) -> tuple[syntax.Let | syntax.Block | None, tuple[Diagnostic, ...]]:
    """Parses one value that follows some text of a file.

    Args:
        text: The value, which may be followed by what closes `before`.
        before: What stands before it in a file, such as `let it =`.
        at: The place of the text's start, to which all spans are moved.

    Returns:
        The item that was parsed, or None where there is not exactly one; and what
        the parser reports.

    Example:
        >>> item, _ = parse_statement("50 steps", "let it =", at=7)
        >>> item.value.value, item.value.span
        (50, Span(start=7, stop=15))
    """
    file, problems = parse(Source("", before + text))
    by = at - len(before)
    items = file.items if file is not None else ()
    item = moved(items[0], by) if len(items) == 1 else None
    return item, tuple(moved(problem, by) for problem in problems)


def placed(node: T, span: Span) -> T:
    """Returns a node with one place for it and for everything in it."""
    if isinstance(node, Span):
        return cast(T, span)
    if isinstance(node, tuple):
        return cast(T, tuple(placed(part, span) for part in node))
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return node
    fields = dataclasses.fields(node)
    parts = {f.name: placed(getattr(node, f.name), span) for f in fields}
    return dataclasses.replace(node, **parts)


def moved(node: T, by: int) -> T:
    """Returns a node or a diagnostic with every span moved by so many code points."""
    if isinstance(node, Span):
        return cast(T, Span(max(0, node.start + by), max(0, node.stop + by)))
    if isinstance(node, tuple):
        return cast(T, tuple(moved(part, by) for part in node))
    if not dataclasses.is_dataclass(node) or isinstance(node, type):
        return node
    parts = {f.name: moved(getattr(node, f.name), by) for f in dataclasses.fields(node)}
    return dataclasses.replace(node, **parts)
