"""Writing schemes and terms as canonical text, and reading terms back."""

from collections.abc import Sequence
from dataclasses import MISSING
from typing import Any

from diamond.dsl import syntax, units
from diamond.dsl.check_context import Context, Where
from diamond.dsl.check_terms import read_value
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.formatter import format_text
from diamond.dsl.fragments import parse_statement
from diamond.dsl.source import Source
from diamond.dsl.vocabulary.fields import Argument, Field, fields_of
from diamond.dsl.vocabulary.optimizers import signature_of
from diamond.dsl.vocabulary.schedule import Auto, Scheduled
from diamond.dsl.vocabulary.scheme import Link, Scheme, Shard, Train
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Call


def emit(scheme: Scheme, *, in_full: bool = False) -> str:
    """Writes a scheme as `fmt` would leave it; the text loads back equal.

    Args:
        scheme: The scheme.
        in_full: Whether arguments at their defaults are written too. Those that are
            nothing where not given (`shards`, `evaluate`) have no word and are left
            out. The text then loads back with an optimizer that has all of its
            arguments, and is equal otherwise.

    Example:
        >>> from diamond.dsl.vocabulary import Axis
        >>> print(emit(Scheme("a", mesh=(Axis("host", 2),))))
        scheme a
        <BLANKLINE>
        mesh {
          host = 2
        }
        <BLANKLINE>
    """
    blocks = [f"scheme {scheme.name}\n"]
    for word in ("model", "data"):
        term = getattr(scheme, word)
        if term is not None:
            blocks.append(_block(f"{word} {word_of(term)}", _settings(term, in_full)))
    if in_full or scheme.train != Train():
        blocks.append(_block("train", _settings(scheme.train, in_full)))
    if scheme.hardware:
        links = [_link(link, in_full) for link in scheme.hardware]
        blocks.append(_block("hardware", links))
    if scheme.mesh:
        blocks.append(_block("mesh", [f"{a.name} = {a.size}" for a in scheme.mesh]))
    if scheme.parallelism or scheme.shards:
        laid = [f"{format_term(p.strategy)} over {p.axis}" for p in scheme.parallelism]
        laid += [_rule(rule) for rule in scheme.shards]
        blocks.append(_block("parallelism", laid))
    for replicas in scheme.replicas:
        settings = _settings(replicas, in_full)
        blocks.append(_block(f"replicas over {replicas.axis}", settings))
    if scheme.distill is not None:
        blocks.append(_block("distill", _settings(scheme.distill, in_full)))
    return format_text(Source(scheme.name, "\n".join(blocks)))


def _block(head: str, statements: list[str]) -> str:
    if not statements:
        return f"{head} {{ }}\n"
    body = "".join(f"  {statement}\n" for statement in statements)
    return f"{head} {{\n{body}}}\n"


def _settings(term: object, in_full: bool) -> list[str]:
    given = _given(term, in_full)
    return [f"{name} = {text}" for name, text in given if name != "axis"]


def _given(term: object, in_full: bool) -> list[tuple[str, str]]:
    """Returns the arguments of a term that differ from their defaults, or all."""
    given = []
    for field in fields_of(type(term)):
        value = getattr(term, field.name)
        if value != field.default or (in_full and value is not None):
            given.append((field.name, format_value(value, field, in_full)))
    return given


def _rule(rule: Shard) -> str:
    return f"shard {_quoted(rule.pattern)} ({', '.join(rule.dims)})"


def _link(link: Link, in_full: bool) -> str:
    bandwidth = units.written(link.bandwidth, "bits_per_second")
    latency = units.written(link.latency, "seconds")
    tail = f", {latency}" if link.latency or in_full else ""
    return f"link {link.axis} = {bandwidth}{tail}"


def format_value(value: object, field: Field, in_full: bool = False) -> str:
    """Writes the value of an argument; words that are one of a few have no quotes.

    With `in_full`, a term has the arguments that are at their defaults, too.

    Example:
        >>> from diamond.dsl.vocabulary import Cast
        >>> [format_value(field.default, field) for field in fields_of(Cast)]
        ['bf16', 'false', '[]']
    """
    if isinstance(value, str):
        return value if field.meaning.choices else _quoted(value)
    return format_term(value, in_full)


def _quoted(text: str) -> str:
    return f'"{text}"'


def format_term(term: object, in_full: bool = False) -> str:
    """Writes a term, a schedule of terms, an optimizer, or a plain value.

    Args:
        term: The term.
        in_full: Whether arguments at their defaults are written too.

    Example:
        >>> from diamond.dsl.vocabulary import Local, Nesterov
        >>> format_term(Local(every=50, outer=Nesterov(lr=0.4)))
        'local(every = 50, outer = nesterov(lr = 0.4))'
        >>> format_term(Call("adam", (("learning_rate", 1e-3),)))
        'adam(lr = 0.001)'
    """
    match term:
        case bool():
            return "true" if term else "false"
        case int() | float():
            return repr(term)
        case str():
            return _quoted(term)
        case tuple():
            return f"[{', '.join(format_term(item, in_full) for item in term)}]"
        case Auto():
            return "auto"
        case Scheduled(phases):
            return ", then ".join(_phase(*phase, in_full) for phase in phases)
        case Call(name):
            given = [
                (_word(name, one), format_term(value, in_full))
                for one, value in _arguments(term, in_full)
            ]
            return _call(name, given)
        case _:
            return _call(word_of(term), _given(term, in_full))


def _arguments(call: Call, in_full: bool) -> Sequence[tuple[str, object]]:
    """Returns the arguments of an optimizer or a schedule, with optax's defaults."""
    signature = signature_of(call.name)
    if not in_full or signature is None:
        return call.arguments
    defaults = {one.name: one.default for one in signature.parameters}
    given = {**defaults, **dict(call.arguments)}
    return [(name, value) for name, value in given.items() if value is not None]


def _word(call: str, argument: str) -> str:
    """Returns the short name of an argument, where it has one."""
    signature = signature_of(call)
    parameter = signature.parameter(argument) if signature else None
    return parameter.word if parameter else argument


def _phase(value: object, length: int | None, in_full: bool) -> str:
    text = format_term(value, in_full)
    return text if length is None else f"{text} for {length} steps"


def _call(name: str, given: list[tuple[str, str]]) -> str:
    inside = ", ".join(f"{argument} = {text}" for argument, text in given)
    return f"{name}({inside})" if inside else name


def parse_term(family: str, text: str) -> Any:
    """Reads a term of a family back, as `format_term` wrote it.

    Args:
        family: A family of `FAMILIES`, or `optimizer`.
        text: The term, or a schedule of terms.

    Raises:
        SchemeError: If the text is no term of the family.

    Example:
        >>> parse_term("compression", "int8(block = 64)")
        Int8(block=64, feedback=True, exclude=())
    """
    item, problems = parse_statement(text, "let it = ")
    ctx, value = Context(found=list(problems)), None
    if isinstance(item, syntax.Let):
        field = Field(
            family, Argument("", family=family, schedulable=True), object, MISSING
        )
        value = read_value(item.value, field, Where("term", family, (family,)), ctx)
    if ctx.found or value is None:
        raise SchemeError(tuple(ctx.found), Source("<term>", text))
    return value
