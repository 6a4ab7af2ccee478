"""What is part of the language and not of this release.

A scheme from text was held against the same tables by the checker, with its places;
this is for schemes that were built in Python.
"""

from collections.abc import Iterator

from diamond.dsl.legality.finding import CLAUSES, Finding, Path, phase_path
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.schedule import Auto, phases_of
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import FAMILIES


def all_built(scheme: Scheme) -> Iterator[Finding]:
    """Every term of a scheme, and every argument of a term, is implemented."""
    for parallel in scheme.parallelism:
        path: Path = ("parallelism", parallel.axis)
        yield from _term(parallel.strategy, "strategy", path)
    for replicas in scheme.replicas:
        if replicas.redundancy is not None:
            path = ("replicas", replicas.axis, "redundancy")
            yield from _term(replicas.redundancy, "redundancy", path)
        for clause in CLAUSES:
            for index, phase in enumerate(phases_of(getattr(replicas, clause))):
                path = phase_path(replicas, clause, index)
                yield from _term(phase.value, clause, path)


def _term(term: object, family: str, path: Path) -> Iterator[Finding]:
    built = [row.name for row in FAMILIES[family] if row.built]
    if isinstance(term, Auto):
        message = f"`{path[-1]}` is `auto`, but this release has no planner"
        yield Finding("D034", message, path, expected=listed(built))
        return
    row = next(row for row in FAMILIES[family] if row.term is type(term))
    if not row.built:
        message = _message(f"`{row.name}`")
        yield Finding("D035", message, path, expected=listed(built) or None)
    for field in fields_of(type(term)):
        value = getattr(term, field.name)
        if field.meaning.family:
            yield from _term(value, field.meaning.family, (*path, field.name))
        elif not field.meaning.built and value != field.default:
            yield Finding(
                "D036",
                _message(f"`{field.name} = {value}` of `{row.name}`"),
                (*path, field.name),
                expected=f"`{field.default}`, the default",
            )


def _message(what: str) -> str:
    return f"{what} is part of the language, but this release does not implement it"
