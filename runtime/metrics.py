"""`metrics.jsonl`: one JSON object a line, in the order of steps.

A training record has `step`, `loss` (mean over the members and over the steps since
the record before), `examples_per_second` and `seconds`; an evaluation has `step`,
`evaluation` and `seconds`. `seconds` counts from the start of the process that wrote
the line.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, TracebackType
from typing import Any

from diamond.runtime.failures import EnvironmentProblem, Failure, RunFailed
from diamond.runtime.strict_json import dumps


class MetricsLog:
    """Appends records to a file that other programs may read meanwhile.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "metrics.jsonl"
        >>> with MetricsLog(path, after=0) as log:
        ...     log.write({"step": 10, "loss": 0.5})
        >>> json.loads(path.read_text())["loss"]
        0.5
    """

    def __init__(self, path: Path, after: int) -> None:
        """Opens the file, without what was written after the step to go on from.

        Args:
            path: The file; it need not exist.
            after: Steps that are already taken.

        Raises:
            EnvironmentProblem: If the file cannot be used.
        """
        with _told_plainly(path, EnvironmentProblem):
            kept = _records_up_to(path, after)
            _replace(path, kept)
            self._file = path.open("a", encoding="utf-8")
        self._path = path
        self._start = time.monotonic()
        losses = [record["loss"] for record in kept if "loss" in record]
        self.last_loss: float | None = losses[-1] if losses else None
        self._evaluated = {each["step"] for each in kept if "evaluation" in each}

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # Every record was flushed; what is left is of one that could not be written.
        with contextlib.suppress(OSError):
            self._file.close()

    def write(self, record: dict[str, Any]) -> None:
        """Writes a record, adding `seconds`.

        Raises:
            RunFailed: If it cannot be written.
        """
        seconds = round(time.monotonic() - self._start, 3)
        with _told_plainly(self._path, RunFailed):
            self._file.write(dumps({**record, "seconds": seconds}) + "\n")
            self._file.flush()
        self.last_loss = record.get("loss", self.last_loss)

    def write_evaluation(self, step: int, metrics: dict[str, float]) -> None:
        """Writes what held-out data gave, unless an earlier start wrote it."""
        if step not in self._evaluated:
            self._evaluated.add(step)
            self.write({"step": step, "evaluation": metrics})


class Unlogged:
    """Takes the place of a log in processes other than the first.

    Attributes:
        last_loss: The loss of the last record; None where none was ever given.
    """

    def __init__(self) -> None:
        self.last_loss: float | None = None

    def __enter__(self) -> "Unlogged":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Does nothing."""

    def write(self, record: dict[str, Any]) -> None:
        """Keeps the loss alone."""
        self.last_loss = record.get("loss", self.last_loss)

    def write_evaluation(self, step: int, metrics: dict[str, float]) -> None:
        """Keeps nothing."""


def _records_up_to(path: Path, step: int) -> list[dict[str, Any]]:
    """Reads whole records; a line that a crash cut short or broke is left out."""
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if _is_whole(record) and record["step"] <= step:
            records.append(record)
    return records


def _is_whole(record: Any) -> bool:
    """Whether a line is what `write` writes, as far as this file reads it."""
    if not isinstance(record, dict) or type(record.get("step")) is not int:
        return False
    return isinstance(record.get("loss", 0.0), (int, float, NoneType))


def _replace(path: Path, records: list[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    text = "".join(dumps(record) + "\n" for record in records)
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


@contextlib.contextmanager
def _told_plainly(path: Path, failure: type[Failure]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise failure(f"{path} cannot be written: {reason}") from error
