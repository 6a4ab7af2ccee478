"""Signals: the first asks for an orderly end, the second ends at once.

Python runs a signal's handler between two of its own instructions, so not while XLA
compiles. A thread that reads the wakeup file hears of every signal as it comes.
"""

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType

from diamond.runtime.progress import Progress

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopper:
    """Listens to SIGINT and SIGTERM while the `with` block runs.

    Attributes:
        signal_number: The signal that came, or None.

    Example:
        >>> from diamond.runtime.progress import Silent
        >>> with Stopper(Silent()) as stopper:
        ...     stopper.signal_number is None
        True
    """

    def __init__(self, progress: Progress) -> None:
        """Makes a listener.

        Args:
            progress: Is told what a signal will lead to, from another thread.
        """
        self.signal_number: int | None = None
        self._progress = progress
        self._nothing_to_save = False
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> "Stopper":
        if threading.current_thread() is not threading.main_thread():
            return self
        hear, tell = socket.socketpair()
        tell.setblocking(False)
        self._undo.callback(tell.close)
        before = signal.set_wakeup_fd(tell.fileno(), warn_on_full_buffer=False)
        self._undo.callback(signal.set_wakeup_fd, before)
        for number in SIGNALS:
            self._undo.callback(signal.signal, number, signal.signal(number, _ignore))
        threading.Thread(target=self._listen, args=(hear,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._undo.close()

    @contextlib.contextmanager
    def nothing_to_save(self) -> Iterator[None]:
        """In this block the first signal ends the process at once."""
        self._nothing_to_save = True
        if self.signal_number is not None:
            self._leave(self.signal_number)
        try:
            yield
        finally:
            self._nothing_to_save = False

    def _listen(self, hear: socket.socket) -> None:
        with hear:
            while data := hear.recv(16):
                for number in data:
                    self._on(number)

    def _on(self, number: int) -> None:
        if number not in SIGNALS:
            return
        if self.signal_number is not None or self._nothing_to_save:
            self._leave(number)
        self.signal_number = number
        name = signal.Signals(number).name
        self._progress.note(
            f"{name}: stopping after this step; once more to leave at once"
        )

    def _leave(self, number: int) -> None:
        self._progress.note(f"{signal.Signals(number).name}: leaving")
        self._progress.stop()
        os._exit(128 + number)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Takes the place of Python's own handlers; the thread does the work."""
