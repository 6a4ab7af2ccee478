"""The names that collectives carry from the plan into compiled programs.

diamond:NAME        the exchange or the flow that a collective belongs to
turns:A,B of N      it stands in a branch, which stage 0 of a pipeline takes at A of
                    the N turns of a loop, and stage 1 at B of them
"""

import re
from collections.abc import Sequence
from fractions import Fraction

from diamond.compiler.plan import MeshAxis
from diamond.dsl.vocabulary.tables import word_of

SCOPE = "diamond:"
_TURNS = "turns:"
_NAME = re.compile(SCOPE + r"([\w.]+)")
_TAKEN = re.compile(_TURNS + r"([0-9,]+)of([0-9]+)")


def scope_of(axis: MeshAxis) -> str:
    """Names what a strategy sends: `axis.strategy`."""
    return f"{axis.name}.{word_of(axis.strategy)}"


def name_in(text: str) -> str | None:
    """Returns the innermost name in the metadata of an operation, if there is one.

    Example:
        >>> name_in("jit(body)/transpose(jvp(diamond:host.zero))/reduce_scatter")
        'host.zero'
    """
    found = _NAME.findall(text)
    return found[-1] if found else None


def taking(taken: Sequence[int], turns: int) -> str:
    """Names a branch by how often each stage takes it.

    Args:
        taken: For each stage at how many turns of the loop.
        turns: Turns of the loop.

    Example:
        >>> turns_in("jit(body)/" + taking([4, 2], 8) + "/psum")
        (Fraction(1, 2), Fraction(1, 4))
    """
    return f"{_TURNS}{','.join(map(str, taken))}of{turns}"


def turns_in(text: str) -> tuple[Fraction, ...]:
    """Returns at which part of a loop's turns each stage does an operation.

    Nothing where all devices do it at each turn. Of nested branches the innermost one
    says so.
    """
    found = _TAKEN.findall(text)
    if not found:
        return ()
    taken, turns = found[-1]
    return tuple(Fraction(int(each), int(turns)) for each in taken.split(","))
