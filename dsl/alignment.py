"""How the `=` and the `over` of the statements of a block line up."""

from collections.abc import Sequence

from diamond.dsl.syntax import Statement
from diamond.dsl.unparse import key_of

# A longer key stands out; lining up with it would push everything to the right.
LONGEST = 32


def key_widths(statements: Sequence[Statement], gaps: Sequence[bool]) -> list[int]:
    """Returns how wide the key of each statement is made.

    Statements of one kind that follow each other line up.

    Args:
        statements: The statements of a block.
        gaps: Whether a blank line follows each statement but the last.
    """
    widths: list[int] = []
    start = 0
    for stop in range(1, len(statements) + 1):
        if stop == len(statements) or gaps[stop - 1] or _differ(statements, stop):
            widths += _widths_of_run(statements[start:stop])
            start = stop
    return widths


def _differ(statements: Sequence[Statement], place: int) -> bool:
    return type(statements[place]) is not type(statements[place - 1])


def _widths_of_run(statements: Sequence[Statement]) -> list[int]:
    lengths = [len(key_of(statement)) for statement in statements]
    widest = max((length for length in lengths if length <= LONGEST), default=0)
    return [widest if length <= LONGEST else length for length in lengths]
