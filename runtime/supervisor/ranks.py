"""Processes of a run as their parent has them: started, looked at, ended."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diamond.runtime.processes.pulse import read_step
from diamond.runtime.supervisor.blame import Seen


@dataclass(frozen=True, slots=True)
class Rank:
    """One of the processes.

    Attributes:
        number: Its number, from 0.
        process: The process, in a group of its own.
        pulse: The file that it writes its step to.
        started: When it was started, by the monotonic clock.
    """

    number: int
    process: "subprocess.Popen[str]"
    pulse: Path
    started: float

    def look(self) -> Seen:
        """Returns what is seen of it now."""
        return Seen(
            rank=self.number,
            code=self.process.poll(),
            silent=self._silent(),
            step=read_step(self.pulse),
            has_begun=self.pulse.exists(),
        )

    def send(self, number: int) -> None:
        """Sends a signal to the process, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    def kill(self) -> None:
        """Kills the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def _silent(self) -> float:
        """Returns the seconds since its pulse, or since its start without one."""
        with contextlib.suppress(FileNotFoundError):
            return max(time.time() - self.pulse.stat().st_mtime, 0.0)
        return time.monotonic() - self.started


def start_rank(
    number: int, command: Sequence[str], environment: Mapping[str, str], pulse: Path
) -> Rank:
    """Starts a process that does not outlive this one.

    The first one has this process's stdout and stderr; what the others print goes to
    stderr, each line with the number of its process.
    """
    is_first = number == 0
    process = subprocess.Popen(
        [*command, "--pulse", str(pulse), "--parent", str(os.getpid())],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=None if is_first else subprocess.PIPE,
        stderr=None if is_first else subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
    )
    if process.stdout is not None:
        relay = (process.stdout, number)
        threading.Thread(target=_relay, args=relay, daemon=True).start()
    return Rank(number, process, pulse, time.monotonic())


def end_all(ranks: Sequence[Rank]) -> None:
    """Kills what is still there and waits until nothing is."""
    for rank in ranks:
        rank.kill()
    for rank in ranks:
        rank.process.wait()


def _relay(stream: IO[str], number: int) -> None:
    with stream:
        for line in stream:
            print(f"[rank {number}] {line}", end="", file=sys.stderr, flush=True)
