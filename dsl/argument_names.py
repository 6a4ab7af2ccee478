"""Naming an argument that was given without its name, such as `cast(bf16)`."""

import dataclasses
import re

from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.source import Source
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.optimizers import signature_of
from diamond.dsl.vocabulary.tables import FAMILIES, row_of

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
    signature = signature_of(word)
    if signature is not None:
        return next((parameter.word for parameter in signature.parameters), None)
    rows = (row_of(word, family) for family in FAMILIES)
    terms = (row.term for row in rows if row)
    return next((field.name for term in terms for field in fields_of(term)), None)
