"""The pulse of a process: a small file that says that it lives, and where it is.

A thread writes it anew every second, so that a process that is frozen shows as well as
one that is gone.
"""

import contextlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from diamond.runtime.progress import Progress, Silent

EVERY = 1.0


class Pulse:
    """Passes on what the loop tells, and notes the steps for a thread that writes.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "rank-0.json"
        >>> with Pulse(path).beating() as pulse:
        ...     pulse.advance(3)
        ...     pulse.write()
        >>> read_step(path)
        3
    """

    def __init__(self, path: Path) -> None:
        self.teller: Progress = Silent()
        self._path = path
        self._step: int | None = None
        self._over = threading.Event()

    @contextlib.contextmanager
    def beating(self) -> Iterator["Pulse"]:
        """Writes while the block runs."""
        self.write()
        thread = threading.Thread(target=self._beat, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join()

    def write(self) -> None:
        """Writes the file anew, whole."""
        partial = self._path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps({"step": self._step}))
        partial.replace(self._path)

    def _beat(self) -> None:
        while not self._over.wait(EVERY):
            with contextlib.suppress(OSError):
                self.write()

    def start(self, done: int, total: int) -> None:
        """See `Progress`."""
        self._step = done
        self.teller.start(done, total)

    def advance(self, step: int) -> None:
        """See `Progress`."""
        self._step = step
        self.teller.advance(step)

    def measure(self, loss: float, examples_per_second: float) -> None:
        """See `Progress`."""
        self.teller.measure(loss, examples_per_second)

    def busy(self, what: str) -> AbstractContextManager[None]:
        """See `Progress`."""
        return self.teller.busy(what)

    def note(self, text: str) -> None:
        """See `Progress`."""
        self.teller.note(text)

    def stop(self) -> None:
        """See `Progress`."""
        self.teller.stop()


@contextlib.contextmanager
def beating(path: Path | None) -> Iterator[Pulse]:
    """Returns what the loop tells, writing a pulse where a path is given."""
    if path is None:
        yield Pulse(Path(os.devnull))
        return
    with Pulse(path).beating() as pulse:
        yield pulse


def read_step(path: Path) -> int | None:
    """Returns the last step of a pulse, or None where there is none yet."""
    try:
        step = json.loads(path.read_text())["step"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return step if isinstance(step, int) else None
