"""The signals that end a run, counted while it is watched."""

import signal
from types import FrameType, TracebackType

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Signals:
    """Counts SIGINT and SIGTERM while the `with` block runs.

    Attributes:
        number: The first that came, or None.
        count: How many came.

    Example:
        >>> with Signals() as signals:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     signals.number == signal.SIGTERM
        True
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self.count = 0

    def __enter__(self) -> "Signals":
        self._before = [signal.signal(number, self._on) for number in STOPPING]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in zip(STOPPING, self._before, strict=True):
            signal.signal(number, handler)

    def _on(self, number: int, frame: FrameType | None) -> None:
        self.number = self.number or number
        self.count += 1
