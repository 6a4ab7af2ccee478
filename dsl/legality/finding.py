"""A finding about a scheme, and where in the scheme it is."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from diamond.dsl.diagnostics import Diagnostic, Label, SchemeError
from diamond.dsl.source import Span
from diamond.dsl.vocabulary.schedule import Scheduled
from diamond.dsl.vocabulary.scheme import Replicas

Path: TypeAlias = tuple[str, ...]
CLAUSES = ("centralization", "consistency", "compression")


@dataclass(frozen=True, slots=True)
class Finding:
    """What a rule found.

    Attributes:
        code: A row of `codes.CODES`.
        message: What is wrong, with the numbers.
        path: The part of the scheme, such as `("replicas", "site", "consistency")`.
        expected: What would have been accepted.
        help: What to do about it.
        labels: Other parts that take part in it, with a word about each.
        needs: Further parts that the finding leans on.
        severity: Errors stop the compiler, warnings do not.
    """

    code: str
    message: str
    path: Path
    expected: str | None = None
    help: str | None = None
    labels: tuple[tuple[Path, str], ...] = ()
    needs: tuple[Path, ...] = ()
    severity: Literal["error", "warning"] = "error"

    def diagnostic(
        self, span: Span | None = None, labels: tuple[Label, ...] = ()
    ) -> Diagnostic:
        """Returns the finding as a diagnostic, at the places that are known."""
        return Diagnostic(
            self.code,
            self.message,
            span,
            self.expected,
            self.help,
            labels,
            self.severity,
        )


class Refusal(SchemeError):
    """A scheme was refused by rules that know no places; carries the findings."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        self.findings = findings
        super().__init__(tuple(finding.diagnostic() for finding in findings))

    def __str__(self) -> str:
        """Returns the findings, one a line, each with what to do about it."""
        return "\n".join(
            f"{one.code} {one.message}" + (f"; {one.help}" if one.help else "")
            for one in self.findings
        )

    def __reduce__(self) -> tuple[type["Refusal"], tuple[tuple[Finding, ...]]]:
        return Refusal, (self.findings,)


def phase_path(replicas: Replicas, clause: str, index: int) -> Path:
    """Returns the path of a phase of a clause; a clause alone is its only phase."""
    path = ("replicas", replicas.axis, clause)
    scheduled = isinstance(getattr(replicas, clause), Scheduled)
    return (*path, str(index)) if scheduled else path


def near_multiples(number: int, of: int) -> str:
    """Writes the multiples next to a number that is none.

    Example:
        >>> near_multiples(50, 12), near_multiples(3, 8)
        ('48 or 60', '8 or 16')
    """
    below = max(number - number % of, of)
    return f"{below} or {below + of}"
