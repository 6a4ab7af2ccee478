"""Diagnostics for people, with the source and carets, and for programs, as JSON."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.source import Source, Span

RESET = "\x1b[0m"
STYLES = {
    "error": "\x1b[1;31m",
    "warning": "\x1b[1;33m",
    "gutter": "\x1b[1;34m",
    "strong": "\x1b[1m",
}
TAB = "    "
WINDOW = 120


@dataclass(frozen=True, slots=True)
class _Mark:
    """Something to underline, with the words that stand beside and below it."""

    span: Span
    sign: str
    words: tuple[str, ...]
    style: str


def render(
    diagnostic: Diagnostic, source: Source | None, *, color: bool = False
) -> str:
    """Returns a diagnostic as a few lines of text, without a line break at the end.

    Args:
        diagnostic: What to show.
        source: The text that its spans are of, unless it brings its own; None where
            there is no text.
        color: Whether to add the escape codes of a terminal.

    Example:
        >>> source = Source("a.diamond", "train { steps: 100 }")
        >>> wrong = Diagnostic("D005", "unexpected `:`", Span(13, 14), "`=`")
        >>> print(render(wrong, source))
        error[D005]: unexpected `:`
          --> a.diamond:1:14
         1 | train { steps: 100 }
           |              ^ expected `=`
    """
    source = diagnostic.source or source
    source = diagnostic.source or source
    head = f"{diagnostic.severity}[{diagnostic.code}]"
    message = _printable(diagnostic.message)
    lines = [
        _paint(head, diagnostic.severity, color)
        + _paint(f": {message}", "strong", color)
    ]
    words = _words(diagnostic)
    if source is None or diagnostic.span is None:
        place = [f"  --> {_printable(source.name)}"] if source else []
        return "\n".join([*lines, *place, *(f"  {word}" for word in words)])
    return "\n".join([*lines, *_snippet(diagnostic, source, words, color)])


def render_all(
    diagnostics: Iterable[Diagnostic], source: Source | None, *, color: bool = False
) -> str:
    """Returns all diagnostics, sorted by place, and a line that counts them.

    Example:
        >>> print(render_all([Diagnostic("D003", "not UTF-8")], None))
        error[D003]: not UTF-8
        <BLANKLINE>
        1 error
    """
    ordered = sorted(diagnostics, key=_order)
    if not ordered:
        return ""
    reports = [render(found, source, color=color) for found in ordered]
    return "\n\n".join([*reports, summary(ordered)])


def summary(diagnostics: Iterable[Diagnostic]) -> str:
    """Counts diagnostics in words.

    Example:
        >>> summary([Diagnostic("D003", "not UTF-8")] * 2)
        '2 errors'
    """
    severities = [found.severity for found in diagnostics]
    counts = [(severities.count(kind), kind) for kind in ("error", "warning")]
    named = [f"{n} {kind}{'s' * (n != 1)}" for n, kind in counts if n]
    return ", ".join(named) or "no errors"


def to_json(diagnostic: Diagnostic, source: Source | None) -> dict[str, Any]:
    """Returns a diagnostic as plain data; lines and columns count from 1.

    Example:
        >>> to_json(Diagnostic("D003", "not UTF-8"), Source("a.diamond", ""))["file"]
        'a.diamond'
    """
    source = diagnostic.source or source
    source = diagnostic.source or source
    return {
        "code": diagnostic.code,
        "severity": diagnostic.severity,
        "message": diagnostic.message,
        "file": source.name if source else None,
        "span": _place(diagnostic.span, source),
        "expected": diagnostic.expected,
        "help": diagnostic.help,
        "labels": [
            {"message": label.message, "span": _place(label.span, source)}
            for label in diagnostic.labels
        ],
    }


def _order(diagnostic: Diagnostic) -> tuple[str, Span, str]:
    name = diagnostic.source.text if diagnostic.source else ""
    return name, diagnostic.span or Span(-1, -1), diagnostic.code


def _place(span: Span | None, source: Source | None) -> dict[str, int] | None:
    if span is None or source is None:
        return None
    line, column = source.place(span.start)
    end_line, end_column = source.place(span.stop)
    return {
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "start": span.start,
        "stop": span.stop,
    }


def _words(diagnostic: Diagnostic) -> tuple[str, ...]:
    expected = f"expected {diagnostic.expected}" if diagnostic.expected else None
    fix = f"help: {diagnostic.help}" if diagnostic.help else None
    return tuple(_printable(word) for word in (expected, fix) if word)


def _snippet(
    diagnostic: Diagnostic, source: Source, words: tuple[str, ...], color: bool
) -> list[str]:
    assert diagnostic.span is not None
    line, column = source.place(diagnostic.span.start)
    marks = [_Mark(diagnostic.span, "^", words, diagnostic.severity)]
    marks += [
        _Mark(label.span, "-", (_printable(label.message),), "gutter")
        for label in diagnostic.labels
    ]
    marks.sort(key=lambda mark: mark.span.start)
    last = source.place(marks[-1].span.start)[0]
    width = len(str(last))
    arrow = _paint(f"{' ' * width} -->", "gutter", color)
    lines = [f"{arrow} {_printable(source.name)}:{line}:{column}"]
    shown = 0
    for mark in marks:
        number = source.place(mark.span.start)[0]
        lines += _marked(mark, source, width, color, repeat=number == shown)
        shown = number
    return lines


def _marked(
    mark: _Mark, source: Source, width: int, color: bool, *, repeat: bool
) -> list[str]:
    number, column = source.place(mark.span.start)
    text = source.line(number)
    before, under, after = _window(text, column - 1, mark.span.stop - mark.span.start)
    gutter = _paint(f" {'':>{width}} |", "gutter", color)
    indent = " " * _columns(before)
    sign = mark.sign * max(1, _columns(under))
    first = " ".join([sign, *mark.words[:1]])
    lines = [f"{gutter} {indent}{_paint(first, mark.style, color)}"]
    for word in mark.words[1:]:
        pad = " " * (len(sign) + 1)
        lines.append(f"{gutter} {indent}{pad}{_paint(word, mark.style, color)}")
    if repeat:
        return lines
    head = _paint(f" {number:>{width}} |", "gutter", color)
    return [f"{head} {before}{under}{after}".rstrip(), *lines]


def _window(text: str, start: int, length: int) -> tuple[str, str, str]:
    """Cuts a line around a span; what is cut off becomes `...`."""
    length = min(length, len(text) - start)
    left = max(0, start - WINDOW // 2) if len(text) > WINDOW else 0
    right = left + WINDOW
    before = ("..." if left else "") + text[left:start]
    under = text[start : min(start + length, right)]
    after = text[start + length : right] + ("..." if right < len(text) else "")
    return _printable(before), _printable(under), _printable(after)


def _printable(text: str) -> str:
    """Replaces what would move the cursor or turn the text around."""
    return "".join(_shown(c) for c in text)


def _shown(character: str) -> str:
    if character == "\t":
        return TAB
    if character == "\ufeff":
        return ""
    category = unicodedata.category(character)
    if category in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(character) in (
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "FSI",
        "PDI",
    ):
        return "\N{REPLACEMENT CHARACTER}"
    return character


def _columns(text: str) -> int:
    """Counts the columns of a terminal that a text takes."""
    return sum(_width(c) for c in text)


def _width(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _paint(text: str, style: str, color: bool) -> str:
    return f"{STYLES[style]}{text}{RESET}" if color else text
