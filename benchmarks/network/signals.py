"""Signals that end a block as an exception does, and blocks that no signal ends."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], object] | signal.Handlers


@contextlib.contextmanager
def heeding(*signals: signal.Signals) -> Iterator[None]:
    """Raises `SystemExit` where one of the signals comes; Ctrl-C does so by itself."""

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handled(signals, leave):
        yield


@contextlib.contextmanager
def deaf(*signals: signal.Signals) -> Iterator[None]:
    """Ignores the signals, here and in what is started here."""
    with _handled(signals, signal.SIG_IGN):
        yield


@contextlib.contextmanager
def _handled(signals: tuple[signal.Signals, ...], handler: Handler) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, handled in before.items():
            signal.signal(number, handled)
