"""A table: what each stage of a pipeline does at each tick.

A tick is one piece of work on one chunk of blocks: the forward of a microbatch (F), its
backward (B), or, where a schedule splits that, the gradient by the chunk's input (B)
and the one by its weights (W). The chunks of all stages, in the order in which an
example passes them, are numbered

    place = chunk * stages + stage

so a stage holds one chunk of every round of the pipeline.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind = Literal["F", "B", "W"]
Column: TypeAlias = tuple["Work | None", ...]


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of work of one stage.

    Attributes:
        kind: Forward, backward (by the input, where it is split), or by the weights.
        microbatch: Which microbatch.
        chunk: Which of the stage's chunks of blocks.
    """

    kind: Kind
    microbatch: int
    chunk: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A schedule for so many stages, microbatches and chunks a stage.

    Attributes:
        stages: Devices along the axis.
        microbatches: Microbatches a step.
        chunks: Chunks of blocks a stage.
        ticks: For each tick what each stage does; None where it waits.
    """

    stages: int
    microbatches: int
    chunks: int
    ticks: tuple[Column, ...]

    @property
    def is_split(self) -> bool:
        """Whether weights have their gradient in a tick of their own."""
        return any(work.kind == "W" for _, _, work in self.works())

    @property
    def bubble(self) -> float:
        """Share of all ticks of all stages in which a stage waits.

        Every tick counts as one, whatever its kind.
        """
        waiting = sum(work is None for tick in self.ticks for work in tick)
        return waiting / (len(self.ticks) * self.stages)

    def works(self) -> Iterator[tuple[int, int, Work]]:
        """Yields tick, stage and work, in the order of the ticks."""
        for tick, column in enumerate(self.ticks):
            for stage, work in enumerate(column):
                if work is not None:
                    yield tick, stage, work

    def place(self, stage: int, work: Work) -> int:
        """Returns the number of a chunk in the order that an example passes them."""
        return work.chunk * self.stages + stage

    def held(self, stage: int) -> int:
        """Returns the most forwards of a stage at once whose last gradient is due.

        One is the activations of one microbatch in one chunk.
        """
        last, held, most = "W" if self.is_split else "B", 0, 0
        for _, at, work in self.works():
            if at == stage:
                held += (work.kind == "F") - (work.kind == last)
                most = max(most, held)
        return most
