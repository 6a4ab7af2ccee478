"""One command on every host."""

import contextlib
import math
import os
import subprocess
import time
from collections.abc import Iterator, Sequence

from benchmarks.network.links import Host, Network

PAUSE = 0.05


def run_on(network: Network, command: Sequence[str], *, grace: float = 10) -> list[int]:
    """Runs a command on every host and waits for all.

    Args:
        network: The hosts.
        command: The command; see `words_for` and `environment_of`.
        grace: Seconds that the others have once one has failed; then they are killed.

    Returns:
        The exit codes by rank, negative for a signal.
    """
    with started(network, command) as jobs:
        deadline = math.inf
        while None in (codes := [job.poll() for job in jobs]):
            if any(codes):
                deadline = min(deadline, time.monotonic() + grace)
            if time.monotonic() >= deadline:
                break
            time.sleep(PAUSE)
    return [job.returncode for job in jobs]


@contextlib.contextmanager
def started(
    network: Network, command: Sequence[str], *, stdout: int | None = None
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Starts a command on every host; what still runs in the end is killed.

    Args:
        network: The hosts.
        command: The command; see `words_for` and `environment_of`.
        stdout: Where its output goes, as for `subprocess.Popen`; ours where not given.
    """
    jobs: list[subprocess.Popen[bytes]] = []
    try:
        for host in network.hosts:
            words = host.inside(*words_for(network, host, command))
            environment = os.environ | environment_of(network, host)
            jobs.append(subprocess.Popen(words, env=environment, stdout=stdout))
        yield jobs
    finally:
        for job in jobs:
            job.kill()
        for job in jobs:
            job.wait()


def words_for(network: Network, host: Host, command: Sequence[str]) -> list[str]:
    """Returns a command with its placeholders filled in.

    They are `{rank}`, `{hosts}` (how many), `{address}` (the host's own) and `{first}`
    (that of rank 0).

    Example:
        >>> host = Host(0, "host0", "10.77.0.1", "space")
        >>> words_for(Network("name", (host,)), host, ["echo", "{rank} of {hosts}"])
        ['echo', '0 of 1']
    """
    values = _values(network, host)
    return [_filled(word, values) for word in command]


def environment_of(network: Network, host: Host) -> dict[str, str]:
    """Returns what a job finds in its environment.

    The names are those that PyTorch's launcher sets, and the address and the link's
    name besides.
    """
    values = _values(network, host)
    return {
        "RANK": values["rank"],
        "WORLD_SIZE": values["hosts"],
        "LOCAL_RANK": "0",
        "MASTER_ADDR": values["first"],
        "MASTER_PORT": "29500",
        "HOST_ADDRESS": values["address"],
        "GLOO_SOCKET_IFNAME": "eth0",
    }


def _values(network: Network, host: Host) -> dict[str, str]:
    return {
        "rank": str(host.rank),
        "hosts": str(len(network.hosts)),
        "address": host.address,
        "first": network.hosts[0].address,
    }


def _filled(word: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        word = word.replace(f"{{{name}}}", value)
    return word
