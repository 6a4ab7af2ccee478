"""The folder of a run, which belongs to one process at a time.

run.json        marks the folder as ours
run.lock        who is using it
metrics.jsonl   what was measured
checkpoints/    states to go on from
student-*/      the run of a student, by the step of the ensemble that it learnt from
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diamond.runtime.checkpoints import lock
from diamond.runtime.failures import EnvironmentProblem

MARK = "run.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run keeps what it makes."""

    path: Path

    @property
    def metrics(self) -> Path:
        """The log of metrics."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    def student(self, step: int) -> Path:
        """The folder of the student of what was trained for so many steps."""
        return self.path / f"student-{step:08}"


@contextlib.contextmanager
def open_run(path: Path, name: str) -> Iterator[RunFolder]:
    """Makes or takes up the folder of a run and holds its lock.

    Args:
        path: The folder: one of an earlier start, an empty one, or none yet.
        name: The scheme's name, for people who look into `run.json`.

    Raises:
        EnvironmentProblem: If the folder is another's, or in use.

    Example:
        >>> import tempfile
        >>> with open_run(Path(tempfile.mkdtemp()) / "a", "tiny") as run:
        ...     run.metrics.name
        'metrics.jsonl'
    """
    with contextlib.ExitStack() as stack:
        try:
            path.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
            stack.enter_context(lock.RunLock(path))
            (path / MARK).write_text(json.dumps({"scheme": name}) + "\n")
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise EnvironmentProblem(f"{path} cannot be used: {reason}") from error
        yield RunFolder(path)


def _refuse_foreign(path: Path) -> None:
    """Refuses a folder with content that no run has made."""
    names = {each.name for each in path.iterdir()} - {lock.NAME}
    if names and MARK not in names:
        raise EnvironmentProblem(
            f"{path} is not empty and holds no run; give another folder with --out"
        )
