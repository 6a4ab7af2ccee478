"""Slots: where a stage keeps what it got until it is used.

A stage has a buffer for what goes into its chunks, one for gradients by what came out
of them, and, where the backward is split, one for what W needs of B. An input stays
until its backward, which computes the chunk again. Slots are taken as they are needed
and given back, so a buffer has as many as are in use at once on the busiest stage.
"""

from dataclasses import dataclass
from typing import NamedTuple

from diamond.compiler.parallelism.schedules.table import Kind, Table

NOWHERE = -1
KINDS: tuple[Kind | None, ...] = (None, "F", "B", "W")


class Row(NamedTuple):
    """What one stage does at one tick; `NOWHERE` for what it has no use for.

    Attributes:
        kind: Index into `KINDS`.
        microbatch: Which microbatch.
        chunk: Which of its chunks.
        place: The chunk's number in the order that an example passes them.
        input: Slot of the chunk's input.
        gradient: Slot of the gradient by its output.
        kept: Slot of what W needs.
        input_lands: Slot for an input that arrives at the end of the tick.
        gradient_lands: Slot for a gradient that arrives then.
    """

    kind: int = 0
    microbatch: int = 0
    chunk: int = 0
    place: int = NOWHERE
    input: int = NOWHERE
    gradient: int = NOWHERE
    kept: int = NOWHERE
    input_lands: int = NOWHERE
    gradient_lands: int = NOWHERE


class Slots(NamedTuple):
    """Slots of one buffer: of each (microbatch, place) its slot, and how many."""

    of: dict[tuple[int, int], int]
    num: int


class Rows(NamedTuple):
    """A table with the slots of all buffers.

    Attributes:
        rows: For each tick and stage.
        inputs: Slots of the buffer of inputs.
        gradients: Of that of gradients.
        kept: Of that of what W needs.
    """

    rows: tuple[tuple[Row, ...], ...]
    inputs: int
    gradients: int
    kept: int


@dataclass(frozen=True, slots=True)
class _Times:
    """At which tick each piece of work is done: (kind, microbatch, place) -> tick."""

    table: Table
    at: dict[tuple[str, int, int], int]

    def taken(self, begin: tuple[Kind, int], end: Kind) -> Slots:
        """Assigns slots from one kind of work, some places off, to another."""
        kind, off = begin
        spans = sorted(
            (self.at[kind, m, place + off], self.at[end, m, place], m, place)
            for (own, m, place) in self.at
            if own == end and (kind, m, place + off) in self.at
        )
        found: dict[tuple[int, int], int] = {}
        free: list[list[int]] = [[] for _ in range(self.table.stages)]
        for start, stop, m, place in spans:
            until = free[place % self.table.stages]
            slot = next((i for i, t in enumerate(until) if t <= start), len(until))
            until[slot : slot + 1] = [stop]
            found[m, place] = slot
        return Slots(found, max(map(len, free)))


def rows_of(table: Table) -> Rows:
    """Returns a table with slots.

    Example:
        >>> from diamond.compiler.parallelism.schedules.gpipe import gpipe
        >>> from diamond.compiler.parallelism.schedules.one_f_one_b import one_f_one_b
        >>> rows_of(gpipe(2, 8)).inputs, rows_of(one_f_one_b(2, 8)).inputs
        (8, 2)
    """
    times = _Times(
        table,
        {(w.kind, w.microbatch, table.place(s, w)): t for t, s, w in table.works()},
    )
    inputs, gradients = times.taken(("F", -1), "B"), times.taken(("B", 1), "B")
    kept = times.taken(("B", 0), "W")

    def row(tick: int, stage: int) -> Row:
        row = Row()
        work = table.ticks[tick][stage]
        if work is not None:
            key = (work.microbatch, table.place(stage, work))
            row = Row(
                KINDS.index(work.kind),
                work.microbatch,
                work.chunk,
                key[1],
                inputs.of.get(key, NOWHERE),
                gradients.of.get(key, NOWHERE),
                kept.of.get(key, NOWHERE),
            )
        before, after = (stage - 1) % table.stages, (stage + 1) % table.stages
        return row._replace(
            input_lands=_lands(table, tick, before, "F", 1, inputs),
            gradient_lands=_lands(table, tick, after, "B", -1, gradients),
        )

    rows = tuple(
        tuple(row(tick, stage) for stage in range(table.stages))
        for tick in range(len(table.ticks))
    )
    return Rows(rows, inputs.num, gradients.num, kept.num)


def _lands(
    table: Table, tick: int, sender: int, kind: Kind, off: int, slots: Slots
) -> int:
    """Returns the slot for what a neighbour sends at a tick."""
    work = table.ticks[tick][sender]
    if work is None or work.kind != kind:
        return NOWHERE
    place = table.place(sender, work) + off
    return slots.of.get((work.microbatch, place), NOWHERE)
