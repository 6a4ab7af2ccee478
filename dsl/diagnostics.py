"""Diagnostics: what is wrong with a scheme, where, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

from diamond.dsl.source import Source, Span


@dataclass(frozen=True, slots=True)
class Label:
    """A second place that a diagnostic points at, with a word about it."""

    span: Span
    message: str


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding about a source.

    Attributes:
        code: A row of `codes.CODES`, such as `D021`.
        message: Lowercase, no full stop, names in backticks: what was got.
        span: The place, or None where the scheme did not come from text.
        expected: What would have been accepted.
        help: What to do about it.
        labels: Further places.
        severity: Errors stop the compiler, warnings do not.
        source: The text that the spans are of, where it is not the file itself, as
            with an override.
    """

    code: str
    message: str
    span: Span | None = None
    expected: str | None = None
    help: str | None = None
    labels: tuple[Label, ...] = ()
    severity: Literal["error", "warning"] = "error"
    source: Source | None = None


class SchemeError(Exception):
    """A scheme was refused; carries every diagnostic and the source it came from.

    As text it is the errors alone, each on a line with its place and its code.

    Example:
        >>> wrong = Diagnostic("D005", "unexpected `:`", Span(6, 7))
        >>> print(SchemeError((wrong,), Source("a.diamond", "train : 3")))
        a.diamond:1:7: D005 unexpected `:`
    """

    def __init__(
        self, diagnostics: tuple[Diagnostic, ...], source: Source | None = None
    ) -> None:
        self.diagnostics = diagnostics
        self.source = source
        super().__init__(diagnostics, source)

    def __str__(self) -> str:
        """Returns the errors, one a line."""
        errors = [one for one in self.diagnostics if one.severity == "error"]
        return "\n".join(_line(one, self.source) for one in errors)


def _line(one: Diagnostic, source: Source | None) -> str:
    place = source.name if source else ""
    if one.source:  # an override is a place of its own
        place = f"{one.source.name} {one.source.text}"
    elif source and one.span:
        line, column = source.place(one.span.start)
        place = f"{source.name}:{line}:{column}"
    return (
        f"{place}: {one.code} {one.message}" if place else f"{one.code} {one.message}"
    )
