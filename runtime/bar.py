"""The progress bar on a terminal."""

import contextlib
import time
from collections.abc import Iterator
from typing import TextIO

import rich.progress
from rich.console import Console
from rich.progress import BarColumn, ProgressColumn, SpinnerColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from diamond.runtime.progress import Pace, clock, measured


class Bar:
    """A bar with step, loss, throughput and time left."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False)
        self._bars = rich.progress.Progress(
            SpinnerColumn(),
            BarColumn(bar_width=12),
            TextColumn("{task.description}"),
            Figures(table_column=Column(no_wrap=True)),
            console=self._console,
            transient=True,
        )
        self._pace = Pace()
        self._task = self._bars.add_task("", visible=False, figures="")

    def start(self, done: int, total: int) -> None:
        """See `Progress`."""
        self._pace = Pace(done, total)
        self._bars.update(self._task, total=total, visible=True)
        self._show()
        self._bars.start()

    def advance(self, step: int) -> None:
        """See `Progress`."""
        self._pace.step = step
        self._show()

    def measure(self, loss: float, examples_per_second: float) -> None:
        """See `Progress`."""
        self._pace.measured = measured(loss, examples_per_second)
        self._show()

    def _show(self) -> None:
        pace = self._pace
        self._bars.update(self._task, completed=pace.step, figures=pace.line())

    @contextlib.contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """See `Progress`."""
        begun = time.monotonic()
        row = self._bars.add_task(what, total=None, figures="")
        self._bars.start()
        try:
            yield
        finally:
            self._bars.remove_task(row)
            self._pace.leave_out(time.monotonic() - begun)

    def note(self, text: str) -> None:
        """See `Progress`."""
        self._console.print(text, markup=False)

    def stop(self) -> None:
        """See `Progress`."""
        self._bars.stop()


class Figures(ProgressColumn):
    """Where training is, or for how long something else has been going on."""

    def render(self, task: Task) -> Text:
        """Returns the text of a row."""
        if task.total is None:
            return Text(clock(task.elapsed or 0.0))
        return Text(str(task.fields["figures"]))
