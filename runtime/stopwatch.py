"""A stopwatch that can be held while something else is done."""

import contextlib
import time
from collections.abc import Iterator


class Stopwatch:
    """Counts the seconds that go into steps.

    Example:
        >>> watch = Stopwatch()
        >>> with watch.paused():
        ...     time.sleep(0.01)
        >>> watch.total < 0.01
        True
    """

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._lap = 0.0

    @property
    def total(self) -> float:
        """Seconds since the start, without pauses; more than 0."""
        return max(time.monotonic() - self._begun, 1e-9)

    def lap(self) -> float:
        """Returns the seconds since the last call, without pauses; more than 0."""
        before, self._lap = self._lap, self.total
        return max(self._lap - before, 1e-9)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count the time in this block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._begun += time.monotonic() - begun
