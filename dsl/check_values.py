"""Reading plain values: numbers with units, strings, truth values, words."""

from diamond.dsl import syntax, units
from diamond.dsl.check_context import Context, Hole, Where
from diamond.dsl.check_names import used_too_early
from diamond.dsl.describe import described, wanted, without_quotes, written
from diamond.dsl.source import Span
from diamond.dsl.suggest import did_you_mean
from diamond.dsl.vocabulary.fields import Field, field_of, why_not
from diamond.dsl.vocabulary.scheme import Replicas
from diamond.dsl.vocabulary.tables import FAMILIES, row_of

Plain = int | float | bool | str
TRUTHS = {"yes": "true", "on": "true", "no": "false", "off": "false"}


def read_plain(
    node: syntax.Value, field: Field, where: Where, ctx: Context
) -> Plain | Hole:
    """Reads a value that is no term, or reports why it is none."""
    if isinstance(node, syntax.Number) and {int, float} & set(field.kinds):
        return _read_number(node, field, where, ctx)
    if isinstance(node, syntax.Boolean) and bool in field.kinds:
        return node.value
    if isinstance(node, syntax.Name | syntax.AutoWord | syntax.String):
        return _read_text(node, field, where, ctx)
    return wrong_type(node, field, where, ctx)


def _read_number(
    node: syntax.Number, field: Field, where: Where, ctx: Context
) -> Plain | Hole:
    value = units.to_base(node.value, node.unit, field.meaning.unit)
    if isinstance(value, units.Misfit):
        return wrong_unit(value, node.span, where, ctx)
    if float not in field.kinds and isinstance(value, float):
        if not value.is_integer():
            return wrong_type(node, field, where, ctx)
        value = int(value)
    problem = why_not(value, field.meaning)
    if problem:
        message = f"{where} {problem}"
        return ctx.report("D028", message, node.span, expected=wanted(field))
    return float(value) if float in field.kinds else value


def wrong_unit(misfit: units.Misfit, span: Span, where: Where, ctx: Context) -> Hole:
    """Reports a unit that does not exist or measures something else."""
    return ctx.report(
        "D027",
        f"{where} {misfit.message}",
        span,
        expected=misfit.expected,
        help=misfit.help,
    )


def _read_text(
    node: syntax.Name | syntax.AutoWord | syntax.String,
    field: Field,
    where: Where,
    ctx: Context,
) -> Plain | Hole:
    if isinstance(node, syntax.Name) and not _takes_words(field):
        return unknown_name(node, field, where, ctx)
    if str not in field.kinds or isinstance(node, syntax.String) == _takes_words(field):
        return wrong_type(node, field, where, ctx)
    text = _text_of(node)
    problem = why_not(text, field.meaning)
    if problem:
        words = f"cannot be `{text}`" if field.meaning.choices else problem
        return ctx.report(
            "D029",
            f"{where} {words}",
            node.span,
            expected=wanted(field),
            help=did_you_mean(text, field.meaning.choices) or _clause_of(text),
        )
    return text


def _clause_of(word: str) -> str | None:
    """Says which clause of `replicas` a word is a whole value of, if one is."""
    families = (family for family in FAMILIES if row_of(word, family))
    clause = next((one for one in families if field_of(Replicas, one)), None)
    return f"`{word}` is a {clause} of its own: `{clause} = {word}`" if clause else None


def _text_of(node: syntax.Name | syntax.AutoWord | syntax.String) -> str:
    if isinstance(node, syntax.AutoWord):
        return "auto"
    return node.text if isinstance(node, syntax.Name) else node.value


def _takes_words(field: Field) -> bool:
    return bool(field.meaning.choices) or field.meaning.identifier


def unknown_name(node: syntax.Name, field: Field, where: Where, ctx: Context) -> Hole:
    """Reports a word where a value is wanted that no constant has for its name."""
    if node.text in ctx.lets:
        return used_too_early(node, ctx)
    return ctx.report(
        "D031",
        f"{where} cannot be `{node.text}`: there is no constant of this name",
        node.span,
        expected=wanted(field),
        help=_instead(node, field, ctx),
    )


def _instead(node: syntax.Name, field: Field, ctx: Context) -> str | None:
    lower = node.text.lower()
    if bool in field.kinds and (lower in TRUTHS or lower in TRUTHS.values()):
        return f"write `{TRUTHS.get(lower, lower)}`"
    if lower in {"none", "null"} and not field.required:
        return f"leave `{field.name}` out"
    if str in field.kinds:
        return f'put it in quotes: "{node.text}"'
    return did_you_mean(node.text, ctx.defined)


def wrong_type(node: syntax.Value, field: Field, where: Where, ctx: Context) -> Hole:
    """Reports a value of the wrong type."""
    return ctx.report(
        "D024",
        f"{where} cannot be {described(node)}",
        node.span,
        expected=wanted(field),
        help=_fix(node, field),
    )


def no_list(node: syntax.Value, field: Field, where: Where, ctx: Context) -> Hole:
    """Reports a value that stands where a list is wanted."""
    if isinstance(node, syntax.Name):
        return unknown_name(node, field, where, ctx)
    one = isinstance(node, syntax.String)
    return ctx.report(
        "D024",
        f"{where} cannot be {described(node)}",
        node.span,
        expected=wanted(field),
        help=f"put it in brackets: `[{written(node)}]`" if one else None,
    )


def _fix(node: syntax.Value, field: Field) -> str | None:
    if isinstance(node, syntax.Number) and bool in field.kinds:
        return f"write `{'true' if node.value else 'false'}`"
    numeric = bool({int, float} & set(field.kinds))
    return without_quotes(node, (*field.meaning.choices, "true", "false"), numeric)
