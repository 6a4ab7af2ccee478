"""`none`: values cross as they are, and nothing is remembered.

mean = sum_i v_i (1/N), each scaled before they are summed.
"""

from diamond.dsl.vocabulary import NoCompression
from diamond.runtime.engines.reference.compression import dense
from diamond.runtime.engines.reference.meeting import Leaves, Meeting


def start(_: NoCompression, __: Leaves, num: int, ___: Meeting) -> list[None]:
    """Returns nothing for each member."""
    return [None] * num


def mean(
    _: NoCompression, values: list[Leaves], states: list[None], __: Meeting
) -> tuple[Leaves, list[None]]:
    """Returns the mean of each leaf."""
    return dense.mean_of_all(values), states
