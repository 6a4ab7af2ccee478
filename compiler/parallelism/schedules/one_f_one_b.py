"""`one_f_one_b`: as soon as a backward can follow a forward, it does.

    stage s    S-1-s forwards, then a forward and a backward by turns, then the
               backwards that are left

It waits as long as `gpipe`, (S-1)/(M+S-1), and holds at most S - s microbatches in
place of M. Gradients are of one version of the parameters: all backwards are done
before the update ("PipeDream-flush").

Reference: Narayanan, Phanishayee, Shi, Chen, Zaharia, "Memory-efficient
pipeline-parallel DNN training", arXiv 2006.09503, 2020; Narayanan et al., "Efficient
large-scale language model training on GPU clusters using Megatron-LM",
arXiv 2104.04473, 2021, section 2.2.
"""

from collections.abc import Sequence

from diamond.compiler.parallelism.schedules.laying import laid
from diamond.compiler.parallelism.schedules.table import Table, Work


def one_f_one_b(stages: int, microbatches: int) -> Table:
    """Returns the table.

    Example:
        >>> table = one_f_one_b(2, 4)
        >>> table.bubble, table.held(0), table.held(1)
        (0.2, 2, 1)
    """
    orders = [order_of(stage, stages, microbatches) for stage in range(stages)]
    return laid(orders, microbatches, 1)


def order_of(stage: int, stages: int, microbatches: int) -> list[Work]:
    """Returns the order in which a stage works."""
    forwards = [Work("F", m) for m in range(microbatches)]
    backwards = [Work("B", m) for m in range(microbatches)]
    return by_turns(forwards, backwards, stages - 1 - stage)


def by_turns(
    forwards: Sequence[Work], backwards: Sequence[Work], first: int
) -> list[Work]:
    """Returns some forwards, then one of each by turns, then the backwards left."""
    first = min(first, len(forwards))
    turns = [
        work for pair in zip(forwards[first:], backwards, strict=False) for work in pair
    ]
    rest = backwards[len(forwards) - first :]
    return [*forwards[:first], *turns, *rest]
