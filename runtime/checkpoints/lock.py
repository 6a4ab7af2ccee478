"""The lock on a run folder: one process at a time.

The kernel's lock on the file ends with the process that holds it, however it ends,
so a killed run never blocks the next one. Kernels of two hosts that share a folder
may not know of each other's locks: there the file's time, renewed while the owner
lives, decides.
"""

import contextlib
import fcntl
import json
import os
import platform
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from diamond.runtime.failures import EnvironmentProblem

NAME = "run.lock"
HEARTBEAT = 15.0
STALE = 2 * HEARTBEAT


class RunLock:
    """Holds a folder for this process while the `with` block runs.

    Raises:
        EnvironmentProblem: If another process holds it, naming that process.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with RunLock(folder):
        ...     (folder / "run.lock").exists()
        True
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._over = threading.Event()
        self._descriptor = -1

    def __enter__(self) -> "RunLock":
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take()
        except BaseException:
            os.close(self._descriptor)
            raise
        threading.Thread(target=self._beat, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _take(self) -> None:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EnvironmentProblem(self._refusal(self._known_owner())) from None
        owner = self._owner()
        if owner.get("host", _host()) != _host() and self._age() < STALE:
            raise EnvironmentProblem(self._refusal(owner))
        mine = {"host": _host(), "pid": os.getpid(), "started": _now()}
        text = json.dumps(mine).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def _known_owner(self) -> dict[str, Any]:
        """Returns the owner, who may have the lock and not have written yet."""
        for _ in range(10):
            if owner := self._owner():
                return owner
            time.sleep(0.05)
        return {}

    def _owner(self) -> dict[str, Any]:
        try:
            owner = json.loads(os.pread(self._descriptor, 4096, 0))
        except ValueError:
            return {}
        return owner if isinstance(owner, dict) else {}

    def _age(self) -> float:
        return time.time() - os.fstat(self._descriptor).st_mtime

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT):
            with contextlib.suppress(OSError):
                os.utime(self._path)

    def _refusal(self, owner: dict[str, Any]) -> str:
        return (
            f"{self._path.parent} is in use by process {owner.get('pid', 'unknown')}"
            f" on {owner.get('host', 'an unknown host')},"
            f" started {owner.get('started', 'just now')};"
            " wait for it to end, or give another folder with --out"
        )


def _host() -> str:
    return platform.node()


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z")
