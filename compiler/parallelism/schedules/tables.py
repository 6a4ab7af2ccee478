"""The schedules by name: a row per member."""

from collections.abc import Callable

from diamond.compiler.parallelism.schedules.gpipe import gpipe
from diamond.compiler.parallelism.schedules.interleaved import interleaved
from diamond.compiler.parallelism.schedules.one_f_one_b import one_f_one_b
from diamond.compiler.parallelism.schedules.table import Table
from diamond.compiler.parallelism.schedules.verify import verify
from diamond.compiler.parallelism.schedules.zero_bubble import zero_bubble
from diamond.dsl import vocabulary as words

Maker = Callable[[int, int, int], Table]

SCHEDULES: dict[str, Maker] = {
    "gpipe": lambda stages, microbatches, chunks: gpipe(stages, microbatches),
    "one_f_one_b": lambda stages, microbatches, chunks: one_f_one_b(
        stages, microbatches
    ),
    "interleaved": interleaved,
    "zero_bubble": lambda stages, microbatches, chunks: zero_bubble(
        stages, microbatches
    ),
}


def table_of(term: words.Pipeline, stages: int) -> Table:
    """Returns the verified table of a term of the language.

    Raises:
        ValueError: If the schedule does not take so many chunks or microbatches.

    Example:
        >>> table_of(words.Pipeline("gpipe", microbatches=2), 2).bubble
        0.3333333333333333
    """
    table = SCHEDULES[term.schedule](stages, term.microbatches, term.chunks)
    if table.chunks != term.chunks:
        raise ValueError(f"`{term.schedule}` has one chunk a stage, not {term.chunks}")
    verify(table)
    return table
