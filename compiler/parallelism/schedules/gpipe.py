"""`gpipe`: all forwards, then all backwards in the opposite order.

    stage s    F0 F1 ... F(M-1), then B(M-1) ... B1 B0

With S stages and forwards as long as backwards, a stage waits (S-1)/(M+S-1) of the
time. It holds all M microbatches between the two halves.

Reference: Huang, Cheng, Bapna, Firat, Chen, Chen, Lee, Ngiam, Le, Wu, Chen, "GPipe:
efficient training of giant neural networks using pipeline parallelism",
arXiv 1811.06965, 2018.
"""

from diamond.compiler.parallelism.schedules.laying import laid
from diamond.compiler.parallelism.schedules.table import Table, Work


def gpipe(stages: int, microbatches: int) -> Table:
    """Returns the table.

    Example:
        >>> gpipe(2, 3).bubble, gpipe(2, 3).held(0)
        (0.25, 3)
    """
    numbers = range(microbatches)
    forwards = [Work("F", m) for m in numbers]
    backwards = [Work("B", m) for m in reversed(numbers)]
    return laid([forwards + backwards] * stages, microbatches, 1)
