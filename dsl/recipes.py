"""Algorithms and formats that people know by a name, as the language writes them."""

import re
from collections.abc import Sequence

from diamond.dsl import syntax
from diamond.dsl.fragments import parse_statement
from diamond.dsl.unparse import text_of
from diamond.dsl.vocabulary.fields import field_of
from diamond.dsl.vocabulary.tables import row_of

RECIPES = {
    ("consistency", "allreduce"): "synchronous",
    ("consistency", "average"): "local(every = 50)",
    ("consistency", "bsp"): "synchronous",
    ("consistency", "ddp"): "synchronous",
    ("consistency", "diloco"): "local(every = 500, outer = nesterov)",
    ("consistency", "fedavg"): "local(every = 50)",
    ("consistency", "local_sgd"): "local(every = 50)",
    ("consistency", "nesterov"): "local(every = 500, outer = nesterov)",
    ("compression", "bf16"): "cast(to = bf16)",
    ("compression", "fp16"): "cast(to = fp16)",
    ("compression", "fp8"): "cast(to = fp8_e4m3)",
    ("outer", "sgd"): "average",
}
# Those that are another term once they have arguments.
WITH_ARGUMENTS = {("outer", "sgd"): "nesterov(lr = 1.0, momentum = 0.0)"}
NUMBER = re.compile(r"(?<== )[0-9.]+")


def recipe(
    word: str, family: str, given: Sequence[syntax.NamedValue] = ()
) -> str | None:
    """Says how an algorithm or a format is written, with the arguments it was given.

    Example:
        >>> recipe("DiLoCo", "consistency")
        'write `local(every = 500, outer = nesterov)`'
    """
    key = (family, word.lower())
    text = (given and WITH_ARGUMENTS.get(key)) or RECIPES.get(key)
    return f"write `{_filled(text, family, given)}`" if text else None


def _filled(text: str, family: str, given: Sequence[syntax.NamedValue]) -> str:
    """Puts arguments into a recipe; its own numbers go where one does not fit."""
    if not given:
        return text
    item, _ = parse_statement(text, "let it = ")
    assert isinstance(item, syntax.Let)
    value = item.value
    row = row_of(text.partition("(")[0], family)
    fits = row and all(field_of(row.term, one.name.text) for one in given)
    if not (fits and isinstance(value, syntax.CallNode)):
        return NUMBER.sub("...", text)
    named = {one.name.text: one for one in (*value.arguments, *given)}
    return text_of(syntax.CallNode(value.name, tuple(named.values()), value.span))
