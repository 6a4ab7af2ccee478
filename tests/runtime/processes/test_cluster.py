import importlib.util

import pytest
from jax._src import clusters

from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.processes.cluster import Cluster, find_cluster

SLURM = {
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_NODELIST": "node[1-2]",
    "SLURM_NTASKS": "2",
    "SLURM_PROCID": "1",
    "SLURM_LOCALID": "0",
}
MPI_5 = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
}
MPI_4 = {**MPI_5, "OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"}
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "1"}


def found(environment, coordinator=None, number=None, rank=None):
    return find_cluster(coordinator, number, rank, environment)


def test_a_process_by_itself():
    assert found({}) is None
    assert found({"SLURM_JOB_ID": "7"}) is None
    assert found({**SLURM, "SLURM_NTASKS": "1"}) is None
    assert found({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) is None
    assert found(SLURM, number=1) is None


def test_options_come_before_the_environment():
    assert found(SLURM, "a:1", 4, 3) == Cluster("options", "a:1", 4, 3)


@pytest.mark.parametrize(
    ("environment", "name"), [(SLURM, "SlurmCluster"), (MPI_4, "OmpiCluster")]
)
def test_what_is_recognized_is_what_jax_detects(environment, name, monkeypatch):
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    kinds = {each.__name__: each for each in clusters.ClusterEnv._cluster_types}
    detected = kinds[name]
    assert detected.is_env_present()
    assert detected.get_process_count() == 2
    assert detected.get_process_id() == 1
    cluster = found(environment)
    assert cluster.by in ("SLURM", "Open MPI")
    assert cluster.num_processes is None


def test_open_mpi_5_needs_to_be_told_where_the_first_process_is():
    with pytest.raises(EnvironmentProblem, match="Open MPI 5"):
        found(MPI_5)
    expected = Cluster("Open MPI", "host1:9000", 2, 1)
    assert found(MPI_5, "host1:9000") == expected
    assert found({**MPI_5, "JAX_COORDINATOR_ADDRESS": "host1:9000"}) == expected
    assert found({**MPI_5, "OMPI_COMM_WORLD_SIZE": "1"}) is None


def test_a_pod_needs_what_jax_detects_it_with(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentProblem, match=r"install jax\[k8s\]"):
        found(POD)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    assert found(POD).by == "Kubernetes"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("a:1", 2, None), "needs all of"),
        ((None, 2, 0), "needs all of"),
        (("a:1", None, None), "needs all of"),
        (("a:1", 2, 2), "the last one is 1"),
        (("a", 2, 0), "is no HOST:PORT"),
        (("a:99999", 2, 0), "is no HOST:PORT"),
    ],
)
def test_options_that_do_not_say_enough(given, words):
    with pytest.raises(EnvironmentProblem, match=words):
        find_cluster(*given, {})
