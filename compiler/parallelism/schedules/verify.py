"""Verify: a table is one that a pipeline can run."""

from collections import Counter

from diamond.compiler.parallelism.schedules.laying import Done, is_ready, made
from diamond.compiler.parallelism.schedules.table import Table, Work


def verify(table: Table) -> None:
    """Refuses a table that does not do everything once, or too early.

    A stage does one piece of work a tick by the table's own form.

    Raises:
        ValueError: Naming the tick, the stage and the work.
    """
    _verify_counts(table)
    done: Done = set()
    for tick, column in enumerate(table.ticks):
        for stage, work in enumerate(column):
            if work and not is_ready(work, stage, table.stages, table.chunks, done):
                raise ValueError(
                    f"tick {tick}, stage {stage}: {_text(work)} comes before what it "
                    "needs"
                )
        done |= made(column, table.stages)


def _verify_counts(table: Table) -> None:
    if any(len(column) != table.stages for column in table.ticks):
        raise ValueError(f"a tick has work for other than {table.stages} stages")
    kinds = ("F", "B", "W") if table.is_split else ("F", "B")
    found = Counter((stage, work) for _, stage, work in table.works())
    wanted = {
        (stage, Work(kind, microbatch, chunk))  # type: ignore[arg-type]
        for stage in range(table.stages)
        for kind in kinds
        for microbatch in range(table.microbatches)
        for chunk in range(table.chunks)
    }
    for stage, work in wanted | set(found):
        times = found[stage, work]
        if times != ((stage, work) in wanted):
            raise ValueError(f"stage {stage} does {_text(work)} {times} times")


def _text(work: Work) -> str:
    return f"{work.kind} of microbatch {work.microbatch} in chunk {work.chunk}"
