"""The folder of a run, which belongs to one run at a time.

Of processes that train together the first one holds it, and all must see it.

run.json        marks the folder as ours
run.lock        who is using it
crash.json      why the last process that a supervisor lost was lost
metrics.jsonl   what was measured
checkpoints/    states to go on from
student-*/      the run of a student, by the step of the ensemble that it learnt from
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diamond.runtime.checkpoints import lock
from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.processes import ALONE, Peers
from diamond.runtime.supervisor.report import CRASH

MARK = "run.json"
# A shared folder may show late what another host has written.
TRIES, PAUSE = 20, 0.25


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
def open_run(path: Path, name: str, peers: Peers = ALONE) -> Iterator[RunFolder]:
    """Makes or takes up the folder of a run and holds its lock.

    Args:
        path: The folder: one of an earlier start, an empty one, or none yet.
        name: The scheme's name, for people who look into `run.json`.
        peers: The processes that train together, the first of which holds the lock.

    Raises:
        EnvironmentProblem: If the folder is another's, in use, or not the same for
            all processes.

    Example:
        >>> import tempfile
        >>> with open_run(Path(tempfile.mkdtemp()) / "a", "tiny") as run:
        ...     run.metrics.name
        'metrics.jsonl'
    """
    with contextlib.ExitStack() as stack:
        held = peers.led(lambda: _take(path, name, stack))
        if peers.number > 1:
            _check_shared(path, held, peers)
        yield RunFolder(path)


def _take(path: Path, name: str, stack: contextlib.ExitStack) -> str:
    """Takes the folder and returns what its lock says."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(path)
        stack.enter_context(lock.RunLock(path))
        (path / MARK).write_text(json.dumps({"scheme": name}) + "\n")
        return (path / lock.NAME).read_text()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise EnvironmentProblem(f"{path} cannot be used: {reason}") from error


def _check_shared(path: Path, held: str, peers: Peers) -> None:
    """Holds the lock that this process sees against that of the first one."""
    blind = [
        rank for rank, sees in enumerate(peers.gather(_sees(path, held))) if not sees
    ]
    if blind:
        ranks = ", ".join(map(str, blind))
        raise EnvironmentProblem(
            f"{path} must be one folder that all processes share, and process {ranks} "
            "sees another one, or none: give a shared one with --out"
        )


def _sees(path: Path, held: str) -> bool:
    for _ in range(TRIES):
        with contextlib.suppress(OSError):
            if (path / lock.NAME).read_text() == held:
                return True
        time.sleep(PAUSE)
    return False


def _refuse_foreign(path: Path) -> None:
    """Refuses a folder with content that no run has made."""
    names = {each.name for each in path.iterdir()} - {lock.NAME, CRASH}
    if names and MARK not in names:
        raise EnvironmentProblem(
            f"{path} is not empty and holds no run; give another folder with --out"
        )
