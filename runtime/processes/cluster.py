"""How a process finds the others: by options, or by its scheduler's environment.

What JAX itself detects is left to JAX; here it is only recognized, so that a run by
itself stays one. Nothing here imports jax until a process joins others.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass

from diamond.runtime.failures import EnvironmentProblem

SLURM = (
    "SLURM_JOB_ID",
    "SLURM_STEP_NODELIST",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "SLURM_LOCALID",
)
OPEN_MPI = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")
# What mpirun tells up to Open MPI 4, and jax finds the first process by.
OPEN_MPI_ADDRESS = "OMPI_MCA_orte_hnp_uri"
KUBERNETES = ("KUBERNETES_SERVICE_HOST", "JOB_COMPLETION_INDEX")
JAX_ADDRESS = "JAX_COORDINATOR_ADDRESS"


@dataclass(frozen=True, slots=True)
class Cluster:
    """Processes that train as one.

    Attributes:
        by: What it was found by: `options`, `SLURM`, `Open MPI` or `Kubernetes`.
        coordinator: `HOST:PORT` where process 0 listens; jax detects it where None.
        num_processes: How many there are; jax detects it where None.
        process_id: Which one this is, from 0; jax detects it where None.
    """

    by: str
    coordinator: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


def find_cluster(
    coordinator: str | None,
    num_processes: int | None,
    process_id: int | None,
    environment: Mapping[str, str],
) -> Cluster | None:
    """Returns the cluster that this process belongs to, or None where it is alone.

    Args:
        coordinator: `--coordinator`, or None.
        num_processes: `--num-processes`, or None; 1 means alone, whatever the
            environment says.
        process_id: `--process-id`, or None.
        environment: The variables of the environment.

    Raises:
        EnvironmentProblem: If the options or the variables do not say enough.

    Example:
        >>> find_cluster(None, None, None, {})
        >>> find_cluster("10.0.0.1:9000", 2, 1, {}).by
        'options'
    """
    if num_processes == 1:
        return None
    if num_processes is not None or process_id is not None:
        return _by_options(coordinator, num_processes, process_id)
    found = _detected(environment, coordinator)
    if found is None and coordinator is not None:
        return _by_options(coordinator, num_processes, process_id)
    return found


def _by_options(
    coordinator: str | None, num_processes: int | None, process_id: int | None
) -> Cluster:
    if coordinator is None or num_processes is None or process_id is None:
        raise EnvironmentProblem(
            "a process among several needs all of --coordinator HOST:PORT, "
            "--num-processes N and --process-id I"
        )
    _check_address(coordinator)
    if process_id >= num_processes:
        raise EnvironmentProblem(
            f"--process-id {process_id} of --num-processes {num_processes}: the last "
            f"one is {num_processes - 1}"
        )
    return Cluster("options", coordinator, num_processes, process_id)


def _check_address(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 2**16:
        raise EnvironmentProblem(
            f"--coordinator {address} is no HOST:PORT, such as 10.0.0.1:9000"
        )


def _detected(
    environment: Mapping[str, str], coordinator: str | None
) -> Cluster | None:
    """Recognizes what jax detects, in jax's order."""
    if coordinator is not None:
        _check_address(coordinator)
    if _is_open_mpi(environment):
        return _open_mpi(environment, coordinator)
    if all(name in environment for name in SLURM):
        several = int(environment["SLURM_NTASKS"]) > 1
        return Cluster("SLURM", coordinator) if several else None
    if all(name in environment for name in KUBERNETES):
        if importlib.util.find_spec("kubernetes") is None:
            raise EnvironmentProblem(
                "this is a pod of an indexed job: install jax[k8s], so that jax finds "
                "the others, or give --coordinator, --num-processes and --process-id"
                " (--num-processes 1 where each pod is a run of its own)"
            )
        return Cluster("Kubernetes", coordinator)
    return None


def _is_open_mpi(environment: Mapping[str, str]) -> bool:
    named = all(name in environment for name in OPEN_MPI)
    return named and int(environment["OMPI_COMM_WORLD_SIZE"]) > 1


def _open_mpi(environment: Mapping[str, str], coordinator: str | None) -> Cluster:
    if OPEN_MPI_ADDRESS in environment:
        return Cluster("Open MPI", coordinator)
    address = coordinator or environment.get(JAX_ADDRESS)
    if address is None:
        raise EnvironmentProblem(
            "this mpirun does not say where the first process is (Open MPI 5 no "
            "longer does): give --coordinator HOST:PORT, a free port of its host"
        )
    size, rank = (int(environment[name]) for name in OPEN_MPI)
    return Cluster("Open MPI", address, size, rank)
