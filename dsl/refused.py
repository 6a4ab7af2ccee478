"""Giving something up for one reason: a text, or the path of an override."""

from collections.abc import Sequence
from typing import NoReturn

from diamond.dsl import syntax
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.suggest import did_you_mean, listed


class Refused(Exception):
    """A text is not read any further, or a path leads nowhere; carries the reason."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message)


def refuse(
    message: str, name: syntax.Name, known: Sequence[str], help: str | None = None
) -> NoReturn:
    """Refuses a path at one of its names, with the names that would do.

    Raises:
        Refused: Always.
    """
    meant = did_you_mean(name.text, known)
    expected = listed(known) or None
    raise Refused(Diagnostic("D071", message, name.span, expected, meant or help))
