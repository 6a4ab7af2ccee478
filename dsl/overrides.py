"""`--set path=value`: replacing values of the syntax tree before it is checked.

    train.steps=100                              a setting
    train.optimizer.lr=1e-3                      an argument
    replicas.site.consistency.every=10           an argument in a `replicas` block
    mesh.site=4    hardware.site=1 Gbit/s, 5 ms  an axis, a link
    rate=0.1                                     a constant
    data.files=corpus/*.txt                      a string, whose quotes may lack

The checker judges the changed tree as if it had been written so.
"""

import dataclasses
import re
from collections.abc import Sequence

from diamond.dsl import syntax
from diamond.dsl.diagnostics import Diagnostic, Label
from diamond.dsl.edit_paths import takes_text
from diamond.dsl.edit_tree import Target, put
from diamond.dsl.fragments import moved, parse_statement
from diamond.dsl.source import Source, Span

NAME = "--set"
STRING = re.compile(r'"[^"]*"')
# What needs no quotes where a string is wanted, since a shell eats them.
UNQUOTED = re.compile(r"""[^\s"';#()]+""")
BREAK = re.compile(r"[;\r\n#]")
PATH = re.compile(r"\s*[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\s*", re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True)
class Sources:
    """A file and the overrides laid over it, in one line of places.

    Every override has a range of places after the file's own, so that one tree holds
    nodes of all of them.
    """

    file: Source
    overrides: tuple[Source, ...] = ()

    def starts(self) -> list[int]:
        """Returns the first place of each source."""
        starts = [0]
        for source in (self.file, *self.overrides):
            starts.append(starts[-1] + len(source.text) + 1)
        return starts[:-1]

    def home(self, diagnostic: Diagnostic) -> Diagnostic:
        """Gives a diagnostic the source that its span is of."""
        if not self.overrides or diagnostic.span is None:
            return diagnostic
        index = self._index(diagnostic.span)
        by = -self.starts()[index]
        here = [one for one in diagnostic.labels if self._index(one.span) == index]
        away = [one for one in diagnostic.labels if self._index(one.span) != index]
        return dataclasses.replace(
            diagnostic,
            span=moved(diagnostic.span, by),
            labels=tuple(Label(moved(one.span, by), one.message) for one in here),
            help=self._with_elsewhere(diagnostic.help, away),
            source=self.overrides[index - 1] if index else None,
        )

    def is_in_file(self, span: Span) -> bool:
        """Whether a place is one of the file, and not of an override."""
        return self._index(span) == 0

    def _index(self, span: Span) -> int:
        return sum(span.start >= start for start in self.starts()) - 1

    def _with_elsewhere(self, help: str | None, labels: list[Label]) -> str | None:
        """Names what takes part in a finding and stands in another source."""
        said = [help] if help else []
        for label in labels:
            index = self._index(label.span)
            place = label.span.start - self.starts()[index]
            line, column = self.file.place(place)
            where = f"{self.file.name}:{line}:{column}"
            if index:
                where = f"`{NAME} {self.overrides[index - 1].text}`"
            said.append(f"{label.message}: {where}")
        return "; ".join(dict.fromkeys(said)) or None


def override(
    file: syntax.File, source: Source, texts: Sequence[str]
) -> tuple[syntax.File, Sources, tuple[Diagnostic, ...]]:
    """Lays overrides over a syntax tree, one after the other.

    Returns:
        The changed tree, the sources of its places, and what is wrong with the
        overrides themselves; the latter's spans are places of the sources.
    """
    sources = Sources(source, tuple(Source(NAME, text) for text in texts))
    found: list[Diagnostic] = []
    for text, start in zip(texts, sources.starts()[1:], strict=True):
        target, problems = _read(text, start, file)
        found += problems
        if target is not None:
            file, problem = put(file, target)
            found += [problem] if problem else []
    return file, sources, tuple(found)


def _read(
    text: str, start: int, file: syntax.File
) -> tuple[Target | None, tuple[Diagnostic, ...]]:
    path, equals, value = text.partition("=")
    if not equals or not PATH.fullmatch(path):
        return None, (_malformed(path if equals else text, start),)
    names = tuple(
        syntax.Name(match[0], Span(start + match.start(), start + match.end()))
        for match in re.finditer(r"\w+", path)
    )
    at = start + len(path) + 1
    if UNQUOTED.fullmatch(value.strip()) and takes_text(file, names):
        return Target(names, (_string_or_constant(value, at, file),)), ()
    return _with_value(names, value, at)


def _string_or_constant(text: str, at: int, file: syntax.File) -> syntax.Value:
    word = text.strip()
    start = at + text.index(word)
    span = Span(start, start + len(word))
    lets = [item.name.text for item in file.items if isinstance(item, syntax.Let)]
    return syntax.Name(word, span) if word in lets else syntax.String(word, span)


def _with_value(
    names: tuple[syntax.Name, ...], text: str, at: int
) -> tuple[Target | None, tuple[Diagnostic, ...]]:
    bare = STRING.sub(lambda match: " " * len(match[0]), text)
    end = BREAK.search(bare)
    if end or not text.strip():
        place = at + (end.start() if end else 0)
        return None, (_no_value(Span(place, place + 1)),)
    if len(names) == 2 and names[0].text == "hardware":
        before = "hardware { link it = "
        item, problems = parse_statement(text.rstrip() + " }", before, at)
    else:
        item, problems = parse_statement(text, "let it = ", at)
    limit = at + len(text)
    problems = tuple(_within(problem, at, limit) for problem in problems)
    values = _values(item)
    if not values and not problems:
        problems = (_no_value(Span(at, limit)),)
    return (Target(names, values) if values and not problems else None), problems


def _values(item: syntax.Let | syntax.Block | None) -> tuple[syntax.Value, ...]:
    match item:
        case syntax.Let(value=value):
            return (value,)
        case syntax.Block(statements=(syntax.LinkSetting(values=values),)):
            return values
        case _:
            return ()


def _within(problem: Diagnostic, low: int, high: int) -> Diagnostic:
    """Moves a span into the override, where the parser saw more than its text."""
    span = problem.span or Span(low, low)
    start = min(max(span.start, low), high)
    stop = max(start, min(span.stop, high))
    message = problem.message.replace("end of the file", "end of the override")
    return dataclasses.replace(problem, span=Span(start, stop), message=message)


def _malformed(path: str, start: int) -> Diagnostic:
    span = Span(start, start + len(path))
    return Diagnostic(
        "D070",
        "this override is no `path=value`",
        span,
        expected="an override such as `train.steps=100` or "
        "`replicas.site.consistency.every=10`",
    )


def _no_value(span: Span) -> Diagnostic:
    return Diagnostic("D070", "an override sets one value", span, "one value")
