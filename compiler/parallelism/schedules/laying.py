"""Laying: from the order in which each stage works to a table of ticks.

Stages start each piece of work as soon as what it needs is there and the one before it
is done; what a stage made at a tick is there for others from the next one on.
"""

from collections.abc import Sequence

from diamond.compiler.parallelism.schedules.table import Column, Table, Work

Order = Sequence[Work]
Done = set[tuple[str, int, int]]


def laid(orders: Sequence[Order], microbatches: int, chunks: int) -> Table:
    """Returns the table in which each stage works in a given order, without delay.

    Args:
        orders: For each stage its work, in order.
        microbatches: Microbatches a step.
        chunks: Chunks a stage.

    Raises:
        ValueError: If the orders wait for each other for ever.
    """
    stages = len(orders)
    left = [list(order) for order in orders]
    done: Done = set()
    ticks: list[Column] = []
    while any(left):
        ready = [
            bool(order) and is_ready(order[0], stage, stages, chunks, done)
            for stage, order in enumerate(left)
        ]
        if not any(ready):
            raise ValueError(f"no stage can go on at tick {len(ticks)}")
        pairs = zip(left, ready, strict=True)
        column = tuple(order.pop(0) if goes else None for order, goes in pairs)
        done |= made(column, stages)
        ticks.append(column)
    return Table(stages, microbatches, chunks, tuple(ticks))


def is_ready(work: Work, stage: int, stages: int, chunks: int, done: Done) -> bool:
    """Whether all that a piece of work needs is among what is done."""
    place, last = work.chunk * stages + stage, stages * chunks - 1
    if work.kind == "F":
        return place == 0 or ("F", work.microbatch, place - 1) in done
    if work.kind == "W":
        return ("B", work.microbatch, place) in done
    own = ("F", work.microbatch, place) in done
    return own and (place == last or ("B", work.microbatch, place + 1) in done)


def made(column: Column, stages: int) -> Done:
    """Returns what is done by a tick: kind, microbatch and place."""
    return {
        (work.kind, work.microbatch, work.chunk * stages + stage)
        for stage, work in enumerate(column)
        if work is not None
    }
