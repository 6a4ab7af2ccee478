"""Progress, on stderr: a bar where a person watches, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TextIO

LINE_EVERY = 5.0


class Progress(Protocol):
    """What the loop tells of itself."""

    def start(self, done: int, total: int) -> None:
        """Training begins, with `done` of `total` steps taken."""

    def advance(self, step: int) -> None:
        """A step was taken."""

    def measure(self, loss: float, examples_per_second: float) -> None:
        """The losses up to some step are known."""

    def busy(self, what: str) -> AbstractContextManager[None]:
        """Something else takes its time, such as `compiling`."""

    def note(self, text: str) -> None:
        """Something worth a line happened."""

    def stop(self) -> None:
        """Training is over, well or not."""


def progress_on(stream: TextIO) -> Progress:
    """Returns a bar for a terminal, plain lines for anything else."""
    if not stream.isatty():
        return Lines(stream)
    from diamond.runtime.bar import Bar

    return Bar(stream)


class Silent:
    """Tells nothing: for use from Python."""

    def start(self, done: int, total: int) -> None:
        """See `Progress`."""

    def advance(self, step: int) -> None:
        """See `Progress`."""

    def measure(self, loss: float, examples_per_second: float) -> None:
        """See `Progress`."""

    def busy(self, what: str) -> AbstractContextManager[None]:
        """See `Progress`."""
        return contextlib.nullcontext()

    def note(self, text: str) -> None:
        """See `Progress`."""

    def stop(self) -> None:
        """See `Progress`."""


class Lines:
    """Writes a line every few seconds."""

    def __init__(self, stream: TextIO, every: float = LINE_EVERY) -> None:
        self._stream = stream
        self._every = every
        self._next = 0.0
        self._pace = Pace()

    def start(self, done: int, total: int) -> None:
        """See `Progress`."""
        self._pace = Pace(done, total)
        self._next = time.monotonic() + self._every

    def advance(self, step: int) -> None:
        """See `Progress`."""
        self._pace.step = step
        if time.monotonic() >= self._next and step < self._pace.total:
            self._write()

    def measure(self, loss: float, examples_per_second: float) -> None:
        """See `Progress`."""
        self._pace.measured = measured(loss, examples_per_second)
        if self._pace.step == self._pace.total:
            self._write()

    def _write(self) -> None:
        self.note(self._pace.line())
        self._next = time.monotonic() + self._every

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """See `Progress`."""
        self.note(f"{what} ...")
        begun = time.monotonic()
        yield
        spent = time.monotonic() - begun
        self._pace.leave_out(spent)
        if spent >= 1:
            self.note(f"{what} took {spent:.1f} s")

    def note(self, text: str) -> None:
        """See `Progress`."""
        print(text, file=self._stream, flush=True)

    def stop(self) -> None:
        """See `Progress`."""


class Pace:
    """Where training is, and how long the rest will take at this pace.

    Attributes:
        total: Steps to train.
        step: Steps taken.
        measured: What is known of the last losses.
    """

    def __init__(self, done: int = 0, total: int = 0) -> None:
        self.total = total
        self.step = done
        self.measured = ""
        self._first = done
        self._begun = time.monotonic()

    def line(self) -> str:
        """Returns step, loss, throughput and time left."""
        taken = self.step - self._first
        spent = time.monotonic() - self._begun
        left = clock(spent / taken * (self.total - self.step)) if taken else "?"
        return f"step {self.step:,}/{self.total:,}{self.measured}  {left} left"

    def leave_out(self, seconds: float) -> None:
        """Does not count time that went into something else than steps."""
        self._begun += seconds


def measured(loss: float, examples_per_second: float) -> str:
    """Writes what is known of the last losses."""
    return f"  loss {loss:.4g}  {examples_per_second:,.0f} examples/s"


def clock(seconds: float) -> str:
    """Writes a duration.

    Example:
        >>> clock(5.4), clock(65), clock(3700)
        ('5 s', '1:05', '1:01:40')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
