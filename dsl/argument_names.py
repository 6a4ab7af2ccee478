"""Naming an argument that was given without its name, such as `cast(bf16)`."""

import dataclasses
import re

from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.source import Source
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS, SCHEDULES
from diamond.dsl.vocabulary.tables import FAMILIES

FIRST_OF_CALL = re.compile(r"([A-Za-z_]\w*)\s*\(\s*$", re.ASCII)
FAR = 200


def named(problem: Diagnostic, source: Source) -> Diagnostic:
    """Gives the parser's report of a nameless argument the name that it lacks.

    The parser knows no names; the vocabulary knows the first argument of each call.

    Example:
        >>> from diamond.dsl.source import Span
        >>> problem = Diagnostic("D013", "argument `bf16` has no name", Span(5, 9))
        >>> named(problem, Source("a", "cast(bf16)")).help
        'write `to = bf16`'
    """
    if problem.code != "D013" or problem.span is None:
        return problem
    start, stop = problem.span.start, problem.span.stop
    call = FIRST_OF_CALL.search(source.text[max(0, start - FAR) : start])
    name = _first_argument(call[1]) if call else None
    if name is None:
        return problem
    text = source.text[start:stop]
    return dataclasses.replace(problem, help=f"write `{name} = {text}`")


def _first_argument(word: str) -> str | None:
    for rows in FAMILIES.values():
        for row in rows:
            if row.name == word:
                return next((field.name for field in fields_of(row.term)), None)
    for signature in (*OPTIMIZERS, *SCHEDULES):
        if signature.name == word and signature.parameters:
            first = signature.parameters[0]
            return first.alias or first.name
    return None
