"""`zero_bubble`: gradients by the weights wait for ticks that would be idle (ZB-H1).

    B    the gradient by a stage's input, which the stage before waits for
    W    the gradient by its weights, which nobody waits for

Forwards and B take the order of `one_f_one_b`. A stage does W where it would wait, and
where it holds S microbatches: as many as the first stage of `one_f_one_b`. With F, B
and W equally long, it waits (S-1)/(3M+S-1) of the time, where `one_f_one_b`, whose
backward is B and W in one, waits (S-1)/(M+S-1).

Reference: Qi, Wan, Huang, Lin, "Zero bubble pipeline parallelism", arXiv 2401.10241,
2023, section 2.1. We keep the optimizer's step at the end of all, without its section
on validating after the update.
"""

from diamond.compiler.parallelism.schedules.laying import Done, is_ready, made
from diamond.compiler.parallelism.schedules.one_f_one_b import order_of
from diamond.compiler.parallelism.schedules.table import Column, Table, Work


def zero_bubble(stages: int, microbatches: int) -> Table:
    """Returns the table.

    Example:
        >>> zero_bubble(2, 4).bubble, zero_bubble(2, 4).held(1)
        (0.07692307692307693, 2)
    """
    orders = [order_of(stage, stages, microbatches) for stage in range(stages)]
    weights: list[list[Work]] = [[] for _ in orders]
    done: Done = set()
    ticks: list[Column] = []
    while any(orders) or any(weights):
        column = tuple(
            _next(orders[stage], weights[stage], stage, stages, done)
            for stage in range(stages)
        )
        for stage, work in enumerate(column):
            if work is not None and work.kind == "B":
                weights[stage].append(Work("W", work.microbatch))
        done |= made(column, stages)
        ticks.append(column)
    return Table(stages, microbatches, 1, tuple(ticks))


def _next(
    order: list[Work], weights: list[Work], stage: int, stages: int, done: Done
) -> Work | None:
    """Takes what a stage does at a tick off its lists."""
    fits = bool(order) and (order[0].kind == "B" or _held(stage, done) < stages)
    if fits and is_ready(order[0], stage, stages, 1, done):
        return order.pop(0)
    return weights.pop(0) if weights else None


def _held(stage: int, done: Done) -> int:
    kinds = [kind for kind, _, place in done if place == stage]
    return kinds.count("F") - kinds.count("W")
