"""Reports about names: unknown, missing, given twice, not built."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from diamond.dsl import syntax
from diamond.dsl.check_context import Context, Hole, Path, Where
from diamond.dsl.describe import described, wanted, without_quotes
from diamond.dsl.diagnostics import Label
from diamond.dsl.recipes import preset_meant, recipe
from diamond.dsl.source import Span
from diamond.dsl.suggest import OTHER_WORDS, did_you_mean, listed, shorten
from diamond.dsl.unparse import text_of
from diamond.dsl.vocabulary.blocks import BLOCKS
from diamond.dsl.vocabulary.fields import Field, field_of, fields_of, why_no_name
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS
from diamond.dsl.vocabulary.tables import FAMILIES, row_of

Item: TypeAlias = syntax.Setting | syntax.NamedValue

# What a member of a family is called in a message.
NOUNS = {
    "loss": "loss",
    "outer": "outer step",
    "strategy": "strategy",
    "redundancy": "code",
    "delays": "law of delays",
}


@dataclass(frozen=True, slots=True)
class Owner:
    """What arguments belong to: a term, or a block where `settings` says so."""

    word: str
    path: Path
    span: Span
    settings: bool = False

    @property
    def noun(self) -> str:
        """What the owner's named values are called."""
        return "setting" if self.settings else "argument"


def split(
    node: syntax.Name | syntax.CallNode,
) -> tuple[syntax.Name, tuple[syntax.NamedValue, ...]]:
    """Returns the name and the arguments of a term; a bare word has none."""
    if isinstance(node, syntax.Name):
        return node, ()
    return node.name, node.arguments


def plain(text: str) -> str:
    """Returns a name with what does not belong in one replaced.

    The parser reports such a name and leaves it in the tree; a reserved word can be
    no axis of the mesh, so it is reported as an unknown one.
    """
    name = re.sub(r"\W", "_", text, flags=re.ASCII)
    return name if why_no_name(name) is None else f"_{name}"


def built_words(family: str) -> list[str]:
    """Returns the words of a family that the compiler implements."""
    return [row.name for row in FAMILIES[family] if row.built]


def noun(family: str) -> str:
    """Returns what a member of a family is called."""
    return NOUNS.get(family, family)


def unknown_term(
    name: syntax.Name,
    family: str,
    taker: str,
    ctx: Context,
    given: Sequence[syntax.NamedValue] = (),
) -> Hole:
    """Reports a word that is no member of a family, given the arguments it has."""
    if name.text in ctx.lets:
        return used_too_early(name, ctx)
    words = [row.name for row in FAMILIES[family]]
    return ctx.report(
        "D023",
        f"{taker} cannot be `{name.text}`: there is no {noun(family)} of this name",
        name.span,
        expected=listed(built_words(family)) or None,
        help=recipe(name.text, family, given)
        or _argument_of(name.text, family, given)
        or preset_meant(name.text, family)
        or did_you_mean(name.text, [*words, *ctx.defined])
        or _elsewhere(name.text, family)
        or preset_meant(name.text, family, near=True),
    )


def _argument_of(
    word: str, family: str, given: Sequence[syntax.NamedValue]
) -> str | None:
    """Says how a word is written that is an argument's of the family's only member."""
    if len(FAMILIES[family]) != 1:
        return None
    [row] = FAMILIES[family]
    for field in fields_of(row.term):
        if word in field.meaning.choices:
            others = "".join(f", {o.name.text} = {text_of(o.value)}" for o in given)
            return f"write `{row.name}({field.name} = {word}{others})`"
    return None


def used_too_early(name: syntax.Name, ctx: Context) -> Hole:
    """Reports a constant that is defined further down."""
    let = ctx.lets[name.text]
    inside = let.span.start <= name.span.start < let.span.stop
    return ctx.report(
        "D030",
        f"constant `{name.text}` is used before it is defined",
        name.span,
        help="a constant cannot stand in its own value"
        if inside
        else f"move `let {name.text} = ...` above this line",
        labels=() if inside else (Label(let.name.span, "defined here"),),
    )


def home_of(word: str) -> str | None:
    """Says which block a setting belongs to, by its name or another tool's."""
    for name in (word, OTHER_WORDS.get(word.lower(), "")):
        for form in BLOCKS:
            terms = [form.term] if form.term else []
            if form.head == "term":
                terms = [row.term for row in FAMILIES[form.word]]
            if any(field_of(term, name) for term in terms):
                return f"`{name}` is a setting of `{form.word}`"
    parameters = [p for signature in OPTIMIZERS for p in signature.parameters]
    if any(word in (p.name, p.alias) for p in parameters):
        return (
            f"`{word}` is an argument of an optimizer: `optimizer = adamw(lr = 3e-4)`"
        )
    return None


def _elsewhere(word: str, family: str) -> str | None:
    if family in ("model", "data"):
        what = "a model" if family == "model" else "data"
        return f"{what} of your own comes in through the Python API"
    for other in FAMILIES:
        if other != family and row_of(word, other):
            article = "an" if noun(other)[0] in "aeiou" else "a"
            return f"`{word}` is {article} {noun(other)}"
    return None


def no_term(node: syntax.Value, family: str, where: Where, ctx: Context) -> Hole:
    """Reports a value that stands where a term is wanted."""
    return ctx.report(
        "D024",
        f"{where} cannot be {described(node)}",
        node.span,
        expected=listed(built_words(family)) or None,
        help=without_quotes(node, [row.name for row in FAMILIES[family]]),
    )


def refuse_term(name: syntax.Name, family: str, ctx: Context) -> Hole:
    """Reports a term that the language has and this release does not implement."""
    built = built_words(family)
    return ctx.report(
        "D035",
        f"`{name.text}` is part of the language, but this release does not "
        "implement it",
        name.span,
        expected=listed(built) or None,
        help=None if built else f"leave it out: no {noun(family)} is built yet",
    )


def unknown_argument(
    name: syntax.Name, fields: Iterable[Field], owner: Owner, ctx: Context
) -> None:
    """Reports a named value that its owner does not take."""
    names = [field.name for field in fields]
    nothing = f"no {owner.noun}s"
    ctx.report(
        "D022" if owner.settings else "D021",
        f"`{owner.word}` has no {owner.noun} `{shorten(name.text)}`",
        name.span,
        expected=listed(names) if names else nothing,
        help=did_you_mean(name.text, names)
        or (home_of(name.text) if owner.settings else None),
    )


def missing(field: Field, owner: Owner, ctx: Context) -> Hole:
    """Reports a required value that was not given."""
    what = field.meaning.family and listed(built_words(field.meaning.family))
    return ctx.report(
        "D025",
        f"`{owner.word}` needs its {owner.noun} `{field.name}`",
        owner.span,
        expected=f"`{field.name} = ...`: {what or wanted(field)}",
        help=f"`{field.name}`: {field.meaning.doc}",
    )


def given_twice(
    what: str, again: syntax.Name, first: syntax.Name, ctx: Context
) -> Hole:
    """Reports a name that stands a second time where it may stand once."""
    return ctx.report(
        "D026",
        f"{what} is given twice",
        again.span,
        help="keep one of the two",
        labels=(Label(first.span, "given here first"),),
    )


def refuse_auto(
    span: Span, where: Where, expected: str | None, required: bool, ctx: Context
) -> Hole:
    """Reports the word `auto`, which asks for a planner."""
    advice = "" if required else f", or leave `{where.name}` out for its default"
    return ctx.report(
        "D034",
        f"{where} is `auto`, but this release has no planner that would choose",
        span,
        expected=expected,
        help=f"write a value yourself{advice}",
    )
