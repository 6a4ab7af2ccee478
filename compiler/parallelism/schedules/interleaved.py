"""`interleaved`: a stage holds several chunks of blocks, far apart in the model.

    stage s    holds chunks s, s + S, s + 2 S, ...; microbatches go in groups of S, a
               group through all chunks: 2 (S-1-s) + (v-1) S forwards first, then a
               forward and a backward by turns, then the backwards that are left

A tick is 1/v as long as one of `one_f_one_b`, so that filling the pipeline costs 1/v
of it: with v chunks a stage waits (S-1)/(vM+S-1) of the time. In exchange activations
cross the axis v times as often, and a little more of them is held.

Microbatches are a multiple of the stages.

Reference: Narayanan et al., "Efficient large-scale language model training on GPU
clusters using Megatron-LM", arXiv 2104.04473, 2021, section 2.2.
"""

from diamond.compiler.parallelism.schedules.laying import laid
from diamond.compiler.parallelism.schedules.one_f_one_b import by_turns
from diamond.compiler.parallelism.schedules.table import Kind, Table, Work


def interleaved(stages: int, microbatches: int, chunks: int) -> Table:
    """Returns the table.

    Raises:
        ValueError: If microbatches do not go in groups of as many as there are stages.

    Example:
        >>> interleaved(2, 4, 2).bubble
        0.1111111111111111
    """
    if microbatches % stages:
        raise ValueError(f"{microbatches} microbatches, not a multiple of {stages}")
    numbers = range(microbatches * chunks)
    forwards = [_work("F", k, stages, chunks) for k in numbers]
    backwards = [_work("B", k, stages, chunks) for k in numbers]
    first = [2 * (stages - 1 - s) + (chunks - 1) * stages for s in range(stages)]
    orders = [by_turns(forwards, backwards, num) for num in first]
    return laid(orders, microbatches, chunks)


def _work(kind: Kind, number: int, stages: int, chunks: int) -> Work:
    """Returns the forward or backward of some number, on whichever stage."""
    group, inside = divmod(number, stages * chunks)
    chunk, member = divmod(inside, stages)
    chunk = chunk if kind == "F" else chunks - 1 - chunk
    return Work(kind, group * stages + member, chunk)
