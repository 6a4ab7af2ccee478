"""The run folder of several processes: one holds it, and all must see it."""

import json

import pytest

from diamond.runtime import folder
from diamond.runtime.checkpoints import RunLock
from diamond.runtime.failures import EnvironmentProblem
from diamond.runtime.folder import open_run
from diamond.runtime.processes.peers import Joined
from tests.runtime.processes.stores import Texts, in_threads


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(folder, "PAUSE", 0.001)


def opened(paths):
    """Returns what each process gets that opens one of the paths as the run folder."""
    store, number = Texts(), len(paths)

    def open_one(rank):
        peers = Joined(store, rank, number)
        with open_run(paths[rank], "tiny", peers) as run:
            return peers.gather(str(run.path))

    return in_threads(number, open_one)


def test_one_folder(tmp_path):
    path = tmp_path / "run"
    assert opened([path] * 3) == [[str(path)] * 3] * 3
    assert json.loads((path / "run.json").read_text()) == {"scheme": "tiny"}


@pytest.mark.parametrize("is_old", [False, True], ids=["none", "an old one"])
def test_another_folder_by_the_same_name_is_refused(tmp_path, is_old):
    paths = [tmp_path / "first", tmp_path / "other", tmp_path / "first"]
    if is_old:
        opened([paths[1]])
    results = opened(paths)
    assert {type(each) for each in results} == {EnvironmentProblem}
    assert all("process 1 sees another one" in str(each) for each in results)


def test_a_folder_in_use_is_refused_to_all(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    with RunLock(path):
        results = opened([path] * 2)
    assert all("is in use by process" in str(each) for each in results)


def test_what_a_supervisor_has_left_is_not_foreign(tmp_path):
    (tmp_path / "crash.json").write_text("{}")
    assert opened([tmp_path] * 2) == [[str(tmp_path)] * 2] * 2
