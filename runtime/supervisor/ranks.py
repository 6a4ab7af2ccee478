"""Processes of a run as their parent has them: started, looked at, ended."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from diamond.runtime.processes.pulse import read_step
from diamond.runtime.supervisor.blame import Seen

# A number of <sys/prctl.h>: which signal a process gets when its parent ends.
_SET_PDEATHSIG = 1


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
        [*command, "--pulse", str(pulse)],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=None if is_first else subprocess.PIPE,
        stderr=None if is_first else subprocess.STDOUT,
        text=True,
        errors="replace",
        process_group=0,
        preexec_fn=_dying_with_parent(),
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


def _dying_with_parent() -> Callable[[], None] | None:
    """Returns what a child does first: the kernel kills it when its parent ends."""
    if sys.platform != "linux":
        return None
    prctl, parent = ctypes.CDLL(None).prctl, os.getpid()

    def ask() -> None:
        prctl(_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it has ended already
            os._exit(1)

    return ask


def _relay(stream: IO[str], number: int) -> None:
    with stream:
        for line in stream:
            print(f"[rank {number}] {line}", end="", file=sys.stderr, flush=True)
