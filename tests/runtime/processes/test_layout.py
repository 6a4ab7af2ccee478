import pytest

from diamond.dsl.vocabulary.scheme import Axis
from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.processes.layout import devices_of_process

MESH = (Axis("site", 3), Axis("host", 4), Axis("chip", 2))


@pytest.mark.parametrize(
    ("processes", "share"), [(1, 24), (3, 8), (6, 4), (12, 2), (24, 1)]
)
def test_processes_take_the_outermost_axes_first(processes, share):
    assert devices_of_process(MESH, processes) == share


@pytest.mark.parametrize("processes", [2, 4, 5, 8, 9, 48])
def test_a_process_would_end_in_the_middle_of_an_inner_axis(processes):
    with pytest.raises(EnvironmentProblem, match=f"^{processes} processes") as problem:
        devices_of_process(MESH, processes)
    assert "take 1, 3, 6, 12 or 24 processes" in str(problem.value)


def test_without_a_mesh_there_is_one_process():
    assert devices_of_process((), 1) == 1
    with pytest.raises(EnvironmentProblem, match="there is no mesh"):
        devices_of_process((), 2)
