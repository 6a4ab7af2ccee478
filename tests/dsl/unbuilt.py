"""Taking a term or an argument out of this release for the time of a test."""

from collections.abc import Iterator
from contextlib import contextmanager

from diamond.dsl.vocabulary.fields import Argument, field_of
from diamond.dsl.vocabulary.tables import Row, row_of


@contextmanager
def without(family: str, word: str, argument: str | None = None) -> Iterator[None]:
    """Marks a member of a family, or one of its arguments, as not built."""
    row = row_of(word, family)
    assert row is not None
    part: Row | Argument = row
    if argument is not None:
        field = field_of(row.term, argument)
        assert field is not None
        part = field.meaning
    built = part.built
    object.__setattr__(part, "built", False)
    try:
        yield
    finally:
        object.__setattr__(part, "built", built)
