"""The tables of the language reference, made from the vocabulary.

They are the second half of `docs/language.md`; a test holds the page against them.
"""

from collections.abc import Iterable, Iterator, Sequence

from diamond.dsl.check_names import noun
from diamond.dsl.describe import wanted
from diamond.dsl.emit import format_term, format_value
from diamond.dsl.presets import PRESETS, block_of
from diamond.dsl.units import MEASURES, names_of, written
from diamond.dsl.unparse import key_of, rest_of
from diamond.dsl.vocabulary.blocks import BLOCKS, BlockForm
from diamond.dsl.vocabulary.fields import Field, fields_of
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS, SCHEDULES
from diamond.dsl.vocabulary.scheme import Axis, Link
from diamond.dsl.vocabulary.signatures import Parameter, Signature
from diamond.dsl.vocabulary.tables import FAMILIES, Row

# A family -> its heading, and where its members stand.
PLACES = {
    "model": (
        "Models",
        "In the head of the block `model`; arguments are its settings.",
    ),
    "data": ("Data", "In the head of the block `data`; arguments are its settings."),
    "loss": ("Losses", "`loss` of `train`."),
    "optimizer": ("Optimizers", "`optimizer` of `train`."),
    "centralization": ("Centralization", "`centralization` of `replicas`."),
    "consistency": ("Consistency", "`consistency` of `replicas`."),
    "outer": ("Outer steps", "`outer` of `local`."),
    "delays": (
        "Laws of delays",
        "`delays` of `stale_synchronous` and of `asynchronous`: "
        "`delays = delays(law = uniform, mean = 2)`.",
    ),
    "compression": ("Compression", "`compression` of `replicas` and of `zero`."),
    "strategy": ("Strategies", "Over an axis, in the block `parallelism`."),
    "redundancy": ("Redundancy", "`redundancy` of `replicas`."),
}
NOT_BUILT = (
    "Part of the language, but refused by this release "
    "([D035](diagnostics.md#d035-term-is-not-in-this-release)):"
)
FROM_OPTAX = (
    "Names and arguments are those of optax, and of `optax.contrib`. An argument "
    "without a default may be left out unless it is needed."
)
KINDS = {"integer": "whole number"}
SETTINGS = ("setting", "takes", "default", "meaning")
TERMS = ("term", "argument", "takes", "default", "meaning")
CALLS = ("name", "a number or a schedule", "other arguments")
Cells = tuple[str, ...]


def reference() -> str:
    """Returns the tables as Markdown: blocks, units, and every term.

    Example:
        >>> "| | `every` | a whole number of steps, at least 1 |" in reference()
        True
    """
    families = [_family(name, rows) for name, rows in FAMILIES.items()]
    parts = [_blocks(), _units(), *families, _presets(), _optimizers(), _schedules()]
    return "\n\n".join(parts) + "\n"


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """Writes a table in Markdown.

    Example:
        >>> print(table(("a", "b"), [("1", "")]))
        | a | b |
        |---|---|
        | 1 | |
    """
    cells = [head, ("---",) * len(head), *rows]
    lines = ["|".join(f" {cell} " if cell else " " for cell in row) for row in cells]
    return "\n".join(f"|{line}|" for line in lines).replace(" --- ", "---")


def _blocks() -> str:
    return "\n\n".join(["## Blocks", *(_block(form) for form in BLOCKS)])


def _block(form: BlockForm) -> str:
    doc = f"{form.doc[0].upper()}{form.doc[1:]}: `{form.example}`"
    term = {"axes": Axis, "links": Link}.get(form.body, form.term)
    fields = [f for f in fields_of(term) if not f.meaning.identifier] if term else []
    rows = [(f"`{field.name}`", *_described(field)) for field in fields]
    settings = [table(SETTINGS, rows)] if rows else []
    return "\n\n".join([f"### `{form.word}`", doc, *settings])


def _described(field: Field) -> Cells:
    return _takes(field), _default(field), field.meaning.doc


def _takes(field: Field) -> str:
    family = field.meaning.family
    if family is None:
        return wanted(field)
    heading, _ = PLACES[family]
    link = f"[{noun(family)}](#{heading.lower().replace(' ', '-')})"
    return f"{link}, may be scheduled" if field.meaning.schedulable else link


def _default(field: Field) -> str:
    if field.required:
        return "needed"
    if field.default is None:
        return ""
    unit = field.meaning.unit
    if unit is not None and not MEASURES[unit][2]:
        return f"`{written(field.default, unit)}`"
    text = f"`{format_value(field.default, field)}`"
    return text if field.meaning.built else f"{text}; this release has no other"


def _units() -> str:
    rows = [
        (what, names_of(unit).replace(" or ", ", "), "no" if optional else "yes")
        for unit, (what, _, optional) in MEASURES.items()
    ]
    return f"## Units\n\n{table(('measures', 'units', 'needed'), rows)}"


def _family(name: str, rows: Sequence[Row]) -> str:
    heading, place = PLACES[name]
    built = [row for row in rows if row.built]
    others = [row for row in rows if not row.built]
    parts = [f"## {heading}", place]
    parts += [_terms(built)] if built else []
    parts += [NOT_BUILT, _terms(others)] if others else []
    return "\n\n".join(parts)


def _terms(rows: Iterable[Row]) -> str:
    return table(TERMS, (cells for row in rows for cells in _term(row)))


def _term(row: Row) -> Iterator[Cells]:
    yield f"`{row.name}`", "", "", "", str(row.term.__doc__)
    for cells in arguments_of(row.term):
        yield "", *cells


def arguments_of(term: type) -> Iterator[Cells]:
    """Yields name, what it takes, default and meaning of each argument of a term.

    Example:
        >>> from diamond.dsl.vocabulary import Elastic
        >>> next(arguments_of(Elastic))[0]
        '`every`'
    """
    for field in fields_of(term):
        yield f"`{field.name}`", *_described(field)


def _presets() -> str:
    rows = [(f"`{one.name}`", one.doc, _settings(one.name)) for one in PRESETS]
    text = "First in a block `replicas over`: `include diloco`."
    return f"## The presets\n\n{text}\n\n{table(('name', 'what', 'settings'), rows)}"


def _settings(name: str) -> str:
    """Returns what a preset sets, as it is written in its file, on one line."""
    block = block_of(name)
    assert block is not None
    written = (f"`{key_of(one)} {rest_of(one)}`" for one in block.statements)
    return ", ".join(written)


def _optimizers() -> str:
    heading, place = PLACES["optimizer"]
    rows = table(CALLS, map(_call, OPTIMIZERS))
    return f"## {heading}\n\n{place} {FROM_OPTAX}\n\n{rows}"


def _schedules() -> str:
    own = [one for one in SCHEDULES if one.home == "diamond"]
    others = [one for one in SCHEDULES if one.home != "diamond"]
    return "\n\n".join(
        [
            "## Schedules of numbers",
            "Wherever an optimizer takes a number or a schedule. Diamond's own:",
            table(("name", "arguments", "meaning"), map(_own, own)),
            "Those of optax:",
            table(("name", "arguments"), (_call(one)[::2] for one in others)),
        ]
    )


def _own(signature: Signature) -> Cells:
    name, _, arguments = _call(signature)
    return name, arguments, signature.doc


def _call(signature: Signature) -> Cells:
    kinds: dict[bool, list[str]] = {True: [], False: []}
    for parameter in signature.parameters:
        kinds[parameter.kind == "schedule"].append(_parameter(parameter))
    return f"`{signature.name}`", ", ".join(kinds[True]), ", ".join(kinds[False])


def _parameter(parameter: Parameter) -> str:
    name = parameter.word
    if parameter.default is not None:
        return f"`{name} = {format_term(parameter.default)}`"
    notes = ["needed"] if parameter.required else []
    if parameter.kind != "schedule":
        notes = [KINDS.get(parameter.kind, parameter.kind), *notes]
    return f"`{name}` ({', '.join(notes)})" if notes else f"`{name}`"
