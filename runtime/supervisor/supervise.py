"""Starts the processes of a run again until one start ends well.

Nothing here imports jax, so that the parent is small and has no device.
"""

import os
import socket
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from diamond.runtime.failures import EndedWith, Interrupted, RunFailed
from diamond.runtime.supervisor import report
from diamond.runtime.supervisor.blame import Cause
from diamond.runtime.supervisor.ranks import Rank, end_all, start_rank
from diamond.runtime.supervisor.signals import Signals
from diamond.runtime.supervisor.watch import watch

LONGEST_PAUSE = 60.0
# JAX's own variable: the accelerators that a process uses.
LOCAL_DEVICES = "JAX_LOCAL_DEVICE_IDS"


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started, and how.

    Attributes:
        command: The command of one process, without what tells it from the others.
        hosts: How many processes.
        share: Devices a process.
        folder: The run folder.
        interface: The network interface of gloo.
        heartbeat: Seconds of silence after which a process counts as lost.
        patience: Seconds without a step after which the run counts as stuck, or None.
        restarts: How often the processes are started again.
    """

    command: Sequence[str]
    hosts: int
    share: int
    folder: Path
    interface: str
    heartbeat: int
    patience: float | None
    restarts: int


def supervise(launch: Launch) -> None:
    """Runs the processes to the end, starting them again when one is lost.

    Raises:
        Interrupted: If a signal ended the run.
        RunFailed: If a process was lost and no restart is left, naming it.
        EndedWith: If a process ended for a reason that another start would not
            change, with its exit code.
    """
    with Signals() as signals:
        for start in range(launch.restarts + 1):
            cause = _start(launch, signals)
            if cause is None:
                return
            if not (cause.is_crash and cause.is_final):
                _refuse_signal(signals)
            left = 0 if cause.is_final else launch.restarts - start
            _account_for(launch, cause, start, left)
            _pause(cause, start, left, signals)


def _account_for(launch: Launch, cause: Cause, start: int, left: int) -> None:
    """Writes down what happened, and ends the run if it must not go on."""
    if cause.is_crash:
        report.write_crash(launch.folder, cause, start, left)
    if cause.is_final:
        raise EndedWith(f"rank {cause.rank} {cause.text}", cause.code or 0)
    if not left:
        raise RunFailed(f"{report.in_words(cause)}; no restart is left")


def _refuse_signal(signals: Signals) -> None:
    if signals.number is not None:
        raise Interrupted("stopped", signals.number)


def _start(launch: Launch, signals: Signals) -> Cause | None:
    """Runs the processes once; none of them is left when it returns."""
    ranks: list[Rank] = []
    with tempfile.TemporaryDirectory(prefix="diamondc-") as folder:
        address = f"127.0.0.1:{_free_port()}"
        try:
            for number in range(launch.hosts):
                command = _command(launch, number, address)
                environment = _environment(launch, number)
                pulse = Path(folder, f"rank-{number}.json")
                ranks.append(start_rank(number, command, environment, pulse))
            return watch(ranks, signals, launch.heartbeat, launch.patience)
        finally:
            end_all(ranks)


def _command(launch: Launch, number: int, address: str) -> list[str]:
    alone = [*launch.command, "--num-processes", str(launch.hosts)]
    if launch.hosts == 1:
        return alone
    return [
        *alone,
        *("--coordinator", address),
        *("--process-id", str(number)),
        *("--interface", launch.interface),
        *("--heartbeat", str(launch.heartbeat)),
    ]


def _environment(launch: Launch, number: int) -> Mapping[str, str]:
    """Gives each process accelerators of its own."""
    first = number * launch.share
    mine = ",".join(map(str, range(first, first + launch.share)))
    return {**os.environ, LOCAL_DEVICES: mine}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _pause(cause: Cause, start: int, left: int, signals: Signals) -> None:
    seconds = min(2.0**start, LONGEST_PAUSE)
    print(
        f"{report.in_words(cause)}; all start again in {seconds:.0f} s from the last "
        f"checkpoint ({left} {'restart' if left == 1 else 'restarts'} left)",
        file=sys.stderr,
        flush=True,
    )
    until = time.monotonic() + seconds
    while time.monotonic() < until and signals.number is None:
        time.sleep(0.1)
    _refuse_signal(signals)
