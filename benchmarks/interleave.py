"""Ratios of interleaved runs: what holds on a machine whose speed drifts."""

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple


class Ratio(NamedTuple):
    """How two timings compare.

    Attributes:
        ours: Median seconds of ours.
        theirs: Median seconds of the other.
        median: Median of the ratios, pair by pair.
        low: First quartile of the ratios.
        high: Third quartile of the ratios.
    """

    ours: float
    theirs: float
    median: float
    low: float
    high: float


def interleave(
    ours: Callable[[], None], theirs: Callable[[], None], *, pairs: int = 21
) -> Ratio:
    """Runs two functions in turn, each first in every other pair.

    Both are run twice before anything is timed.
    """
    for run in (ours, theirs, ours, theirs):
        run()
    seconds: list[tuple[float, float]] = []
    for pair in range(pairs):
        if pair % 2:
            second = _timed(theirs)
            seconds.append((_timed(ours), second))
        else:
            seconds.append((_timed(ours), _timed(theirs)))
    low, median, high = statistics.quantiles([a / b for a, b in seconds], n=4)
    ours_median = statistics.median(a for a, _ in seconds)
    theirs_median = statistics.median(b for _, b in seconds)
    return Ratio(ours_median, theirs_median, median, low, high)


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
