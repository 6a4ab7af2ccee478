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
    """A scheme was refused; carries every diagnostic and the source it came from."""

    def __init__(
        self, diagnostics: tuple[Diagnostic, ...], source: Source | None = None
    ) -> None:
        self.diagnostics = diagnostics
        self.source = source
        super().__init__("; ".join(d.message for d in diagnostics))
