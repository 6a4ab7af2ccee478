"""What the checker carries through a file: findings, constants, places."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeAlias, TypeVar

from diamond.dsl import syntax
from diamond.dsl.diagnostics import Diagnostic, Label
from diamond.dsl.source import Span

Path: TypeAlias = tuple[str, ...]
T = TypeVar("T")
MOST_DEEP = 32
MOST_FOUND = 100


class Hole(Enum):
    """What stands for a value that could not be read; its error is already found."""

    HOLE = 0


HOLE: Final = Hole.HOLE


class Enough(Exception):
    """So much is wrong that the checker stops."""


@dataclass(frozen=True, slots=True)
class Where:
    """An argument or a setting: what it belongs to, its name, and its path.

    `words` says what it is where "`name` of `owner`" would not.
    """

    owner: str
    name: str
    path: Path
    words: str | None = None

    def __str__(self) -> str:
        return self.words or f"`{self.name}` of `{self.owner}`"

    def part(self, name: str, words: str | None = None) -> "Where":
        """Returns the place of a part, such as a phase of a schedule."""
        return Where(self.owner, self.name, (*self.path, name), words or self.words)


@dataclass(slots=True)
class Context:
    """The state of one check.

    Attributes:
        lets: Every constant of the file by its name, the first of a name.
        defined: The names of the constants that are defined so far.
        found: The diagnostics.
        places: Where each part of the scheme was written.
        holes: The parts of the scheme that could not be read.
        depth: How many constants and calls stand around the value that is read.
        following: The constant whose value is being read, which may use those above
            it only.
    """

    lets: dict[str, syntax.Let] = field(default_factory=dict)
    defined: set[str] = field(default_factory=set)
    found: list[Diagnostic] = field(default_factory=list)
    places: dict[Path, Span] = field(default_factory=dict)
    holes: set[Path] = field(default_factory=set)
    depth: int = 0
    following: syntax.Let | None = None

    def is_constant(self, name: str) -> bool:
        """Whether a name stands for a constant that is defined above."""
        if name not in self.defined:
            return False
        above = self.following
        return above is None or self.lets[name].span.start < above.span.start

    def admit(self, span: Span) -> bool:
        """Says whether a value may be read, or reports that it is too deep."""
        if self.depth > MOST_DEEP:
            self.report(
                "D032",
                "constants and calls are nested too deeply here",
                span,
                expected=f"at most {MOST_DEEP} inside each other",
            )
        return self.depth <= MOST_DEEP

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        *,
        expected: str | None = None,
        help: str | None = None,
        labels: tuple[Label, ...] = (),
        severity: Literal["error", "warning"] = "error",
    ) -> Hole:
        """Adds a diagnostic, and returns the hole that stands for the value.

        Raises:
            Enough: If it is the hundredth.
        """
        made = Diagnostic(code, message, span, expected, help, labels, severity)
        self.found.append(made)
        if len(self.found) >= MOST_FOUND:
            raise Enough
        return HOLE

    def follow(
        self, name: syntax.Name, where: Where, read: Callable[[syntax.Value], T]
    ) -> T:
        """Reads the value of a constant, and shows at both places what is wrong."""
        user, since = self.following, len(self.found)
        self.depth, self.following = self.depth + 1, self.lets[name.text]
        value = read(self.following.value)
        self.depth, self.following = self.depth - 1, user
        if user is None:
            label = Label(name.span, f"used here as {where}")
            self.found[since:] = [
                dataclasses.replace(one, labels=(*one.labels, label))
                for one in self.found[since:]
            ]
        return value
