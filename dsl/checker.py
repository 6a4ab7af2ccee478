"""The checker: syntax tree -> scheme, against the vocabulary and the legality rules.

It goes on after each error: what could not be read is replaced by its default and
remembered as a hole, and a legality rule that leans on a hole stays silent.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import PurePath

from diamond.dsl import syntax
from diamond.dsl.check_blocks import Parts, read_block
from diamond.dsl.check_context import MOST_FOUND, Context, Enough, Path
from diamond.dsl.check_forms import block_path
from diamond.dsl.check_names import given_twice, plain
from diamond.dsl.diagnostics import Diagnostic, Label
from diamond.dsl.legality import Finding, findings
from diamond.dsl.source import Source, Span
from diamond.dsl.vocabulary.scheme import Scheme

# Codes of what is not there: the part that could not be parsed may have held it.
ABSENCES = frozenset({"D025", "D031", "D060"})
# Codes of unknown words, which may be misspelt constants.
MISSPELLINGS = frozenset({"D023", "D031"})
# Codes of legality rules that the checker has applied itself, with better places.
JUDGED = frozenset({"D034", "D035", "D036"})
# The code of a scheme in which nothing is declared; a file with blocks is none.
NOTHING = "D067"
TOO_MANY = Diagnostic("D017", "too many errors: the rest of the file is not checked")


def check(
    file: syntax.File, source: Source, damage: tuple[Span, ...] = ()
) -> tuple[Scheme | None, tuple[Diagnostic, ...]]:
    """Says what a file means, and everything that is wrong with it.

    Args:
        file: The tree.
        source: Where it came from; names a scheme that has no name.
        damage: Places that could not be parsed. What may be missing from the tree
            because of them is not reported.

    Returns:
        The scheme, or None where there are errors; and the errors and warnings,
        sorted by their places.

    Example:
        >>> from diamond.dsl.parser import parse
        >>> source = Source("a", "mesh { host = 2 }; replicas over host { }")
        >>> scheme, found = check(parse(source)[0], source)
        >>> scheme.mesh
        (Axis(name='host', size=2),)
    """
    ctx, parts = Context(), Parts()
    try:
        _read(file, parts, ctx)
    except Enough:
        return None, (*_sorted(ctx.found), TOO_MANY)
    _note_damage(file, damage, ctx)
    scheme = _assemble(file, source, parts)
    for finding in islice(findings(scheme), MOST_FOUND):
        known = finding.code in JUDGED or _leans_on_hole(finding, ctx.holes)
        if not (known or (finding.code == NOTHING and _has_blocks(file))):
            ctx.found.append(placed(finding, ctx.places))
    found = _sorted(ctx.found)
    failed = any(one.severity == "error" for one in found)
    return (None if failed else scheme), found


def _read(file: syntax.File, parts: Parts, ctx: Context) -> None:
    _collect_lets(file, ctx)
    for item in file.items:
        if isinstance(item, syntax.Let):
            ctx.defined.add(item.name.text)
            continue
        read_block(item, parts, ctx)
    _report_unused(file, ctx)


def _has_blocks(file: syntax.File) -> bool:
    return any(isinstance(item, syntax.Block) for item in file.items)


def _collect_lets(file: syntax.File, ctx: Context) -> None:
    for item in file.items:
        if not isinstance(item, syntax.Let):
            continue
        first = ctx.lets.setdefault(item.name.text, item)
        if first is not item:
            given_twice(f"constant `{item.name.text}`", item.name, first.name, ctx)


def _report_unused(file: syntax.File, ctx: Context) -> None:
    used = set(words_in(file))
    if any(one.code in MISSPELLINGS for one in ctx.found):
        return
    for name, let in ctx.lets.items():
        if name not in used:
            ctx.report(
                "D060",
                f"constant `{name}` is never used",
                let.name.span,
                help="use it or remove it",
                severity="warning",
            )


def _note_damage(file: syntax.File, damage: tuple[Span, ...], ctx: Context) -> None:
    """Turns what could not be parsed into holes, and forgets what follows from it."""
    if not damage:
        return
    blocks = [item for item in file.items if isinstance(item, syntax.Block)]
    for place in damage:
        inside = [b for b in blocks if b.span.start <= place.start < b.span.stop]
        ctx.holes |= {block_path(block) for block in inside} or {()}
    ctx.found = [
        one
        for one in ctx.found
        if one.code not in ABSENCES
        and not any(one.span and _touch(one.span, place) for place in damage)
    ]


def _touch(one: Span, other: Span) -> bool:
    return one.start < other.stop and other.start < one.stop


def words_in(file: syntax.File) -> Iterator[str]:
    """Yields the bare words among the values of a file."""
    waiting: list[object] = list(file.items)
    while waiting:
        match waiting.pop():
            case syntax.Name(text):
                yield text
            case syntax.Block(statements=statements):
                waiting += statements
            case syntax.LinkSetting(values=values):
                waiting += values
            case syntax.StrategySetting(strategy=strategy):
                waiting.append(strategy)
            case syntax.CallNode(arguments=arguments):
                waiting += arguments
            case syntax.ListNode(items=items):
                waiting += items
            case syntax.ScheduleNode(phases=phases):
                waiting += [part for phase in phases for part in phase]
            case syntax.Measured(name=name):
                waiting.append(name)
            case syntax.Let(value=value) | syntax.Setting(value=value):
                waiting.append(value)
            case syntax.NamedValue(value=value):
                waiting.append(value)


def _assemble(file: syntax.File, source: Source, parts: Parts) -> Scheme:
    return Scheme(
        name=plain(file.name.text if file.name else PurePath(source.name).stem),
        model=parts.model,
        data=parts.data,
        train=parts.train,
        mesh=tuple(parts.mesh),
        hardware=tuple(parts.hardware),
        parallelism=tuple(parts.parallelism),
        replicas=tuple(parts.replicas),
        distill=parts.distill,
        shards=tuple(parts.shards),
    )


def _leans_on_hole(finding: Finding, holes: set[Path]) -> bool:
    paths = (finding.path, *finding.needs, *(path for path, _ in finding.labels))
    return any(_overlap(path, hole) for path in paths for hole in holes)


def _overlap(one: Path, other: Path) -> bool:
    shared = min(len(one), len(other))
    return one[:shared] == other[:shared]


def places_of(file: syntax.File) -> dict[Path, Span]:
    """Returns where each part of a scheme was written, of a file without errors."""
    ctx = Context()
    _read(file, Parts(), ctx)
    return ctx.places


def placed(finding: Finding, places: dict[Path, Span]) -> Diagnostic:
    """Returns a finding as a diagnostic at the places of its parts."""
    labels = [(_place(path, places), message) for path, message in finding.labels]
    known = [Label(span, message) for span, message in labels if span]
    span = _place(finding.path, places)
    if span is None and known:
        span = known.pop(0).span
    return finding.diagnostic(span, tuple(known))


def _place(path: Path, places: dict[Path, Span]) -> Span | None:
    """Returns where a part was written, or where what it belongs to was."""
    while path and path not in places:
        path = path[:-1]
    return places.get(path)


def _sorted(found: list[Diagnostic]) -> tuple[Diagnostic, ...]:
    unique = dict.fromkeys(found)
    return tuple(sorted(unique, key=lambda d: (d.span or Span(0, 0), d.code)))
