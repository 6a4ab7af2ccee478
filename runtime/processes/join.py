"""A process joins the others: jax.distributed, its settings, and what is printed."""

import os
import socket
import sys

import jax

from diamond.compiler import compat
from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.processes.cluster import Cluster
from diamond.runtime.processes.peers import Joined

# Seconds in which the coordinator must be found.
FIRST_MEETING = 300
# Milliseconds for which one process waits for what another does; a lost one is
# noticed by its heartbeat long before.
A_DAY = 24 * 3600 * 1000


def join(cluster: Cluster, *, heartbeat: int, interface: str | None) -> Joined:
    """Joins the other processes; comes before anything uses a device.

    Args:
        cluster: Where they meet.
        heartbeat: Seconds after which a silent process counts as lost, and all end.
        interface: The network interface of gloo, which carries what CPUs send.

    Raises:
        EnvironmentProblem: If they do not meet, or the interface is not there.
    """
    if interface is not None:
        _check_interface(interface)
    _keep_stdout_clean()
    # It would take SIGTERM away, and nobody polls it: the loop has its own handlers.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            cluster.coordinator,
            cluster.num_processes,
            cluster.process_id,
            initialization_timeout=FIRST_MEETING,
            heartbeat_timeout_seconds=heartbeat,
            shutdown_timeout_seconds=FIRST_MEETING,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise EnvironmentProblem(
            f"the processes did not meet (by {cluster.by}): {reason}"
        ) from error
    if interface is not None:
        compat.bind_cpu_collectives(interface)
    return Joined(KeyValues(), *compat.rank_and_number())


class KeyValues:
    """The coordinator's key-value store."""

    def __init__(self) -> None:
        self._client = compat.coordination_client()

    def put(self, name: str, text: str) -> None:
        """See `Store`."""
        self._client.key_value_set(name, text, allow_overwrite=True)

    def get(self, name: str) -> str | None:
        """See `Store`."""
        try:
            return str(self._client.key_value_try_get(name))
        except RuntimeError as error:
            if "NOT_FOUND" in str(error):
                return None
            raise

    def wait_for(self, name: str) -> str:
        """See `Store`."""
        return str(self._client.blocking_key_value_get(name, A_DAY))


def _check_interface(name: str) -> None:
    names = [each for _, each in socket.if_nameindex()]
    if name not in names:
        raise EnvironmentProblem(
            f"this host has no network interface `{name}`; it has {', '.join(names)}"
        )


def _keep_stdout_clean() -> None:
    """Gives stdout to Python alone: gloo prints there which peers it has found."""
    sys.stdout.flush()
    kept = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    sys.stdout = os.fdopen(kept, "w", encoding="utf-8")
