"""Algorithms and formats that people know by a name, as the language writes them."""

import re
from collections.abc import Sequence

from diamond.dsl import syntax
from diamond.dsl.fragments import parse_statement
from diamond.dsl.presets import PRESETS
from diamond.dsl.suggest import nearest
from diamond.dsl.unparse import text_of
from diamond.dsl.vocabulary.fields import field_of
from diamond.dsl.vocabulary.scheme import Replicas
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
        'write `local(every = 500, outer = nesterov)`, or `include diloco` first in ...'
    """
    key = (family, word.lower())
    text = (given and WITH_ARGUMENTS.get(key)) or RECIPES.get(key)
    if text is None:
        return None
    also = ""
    if preset_meant(word, family) and not given:
        also = f", or `include {word.lower()}` first in the block"
    return f"write `{_filled(text, family, given)}`{also}"


def preset_meant(word: str, family: str, near: bool = False) -> str | None:
    """Says that a word names a preset, where a term of its settings should stand.

    Args:
        word: The word.
        family: The family of the terms.
        near: Whether a misspelt name will do.

    Example:
        >>> preset_meant("sgp", "consistency")
        '`sgp` is a preset: write `include sgp` first in the block'
    """
    if field_of(Replicas, family) is None:
        return None
    names = [preset.name for preset in PRESETS]
    if word.lower() in names:
        name = word.lower()
        return f"`{name}` is a preset: write `include {name}` first in the block"
    meant = nearest(word, names) if near else None
    return meant and f"did you mean the preset `{meant}`, written `include {meant}`?"


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
