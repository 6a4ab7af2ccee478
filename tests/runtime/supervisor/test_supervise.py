"""The supervisor over processes that are stubs: who is named, and that none is left."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from diamond.runtime.failures import EndedWith, Interrupted, RunFailed
from diamond.runtime.supervisor import Launch, supervise
from diamond.runtime.supervisor.signals import Signals

pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")

STUB = [sys.executable, "-m", "tests.runtime.supervisor.stub"]
ROOT = Path(__file__).parents[3]
PARENT = """
import sys
from pathlib import Path
from diamond.runtime.supervisor import Launch, supervise
command = [sys.executable, "-m", "tests.runtime.supervisor.stub"]
supervise(Launch(command, 2, 1, Path(sys.argv[1]), "lo", 30, None, 3))
"""


@pytest.fixture
def starts(tmp_path, monkeypatch):
    folder = tmp_path / "starts"
    folder.mkdir()
    monkeypatch.setenv("STARTS", str(folder))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return folder


def launched(tmp_path, *, restarts=3, heartbeat=30, patience=None, hosts=2):
    run = tmp_path / "run"
    supervise(Launch(STUB, hosts, 1, run, "lo", heartbeat, patience, restarts))


def crash_of(tmp_path):
    return json.loads((tmp_path / "run" / "crash.json").read_text())


def is_there(pid):
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def none_is_left(starts, number):
    pids = [int(path.read_text()) for path in starts.glob("[0-9]*")]
    assert len(pids) == number
    deadline = time.monotonic() + 10
    while any(map(is_there, pids)):
        assert time.monotonic() < deadline, pids
        time.sleep(0.05)


def test_all_end_well(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "well well")
    launched(tmp_path)
    none_is_left(starts, 2)
    assert not (tmp_path / "run").exists()


def test_one_process_is_watched_too(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "SIGKILL")
    launched(tmp_path, hosts=1)
    none_is_left(starts, 2)
    assert crash_of(tmp_path)["rank"] == 0


def test_one_is_killed_and_all_start_again(tmp_path, starts, monkeypatch, capfd):
    monkeypatch.setenv("STUB", "well SIGKILL")
    launched(tmp_path)
    none_is_left(starts, 4)
    crash = crash_of(tmp_path)
    assert crash["cause"] == "rank 1 was killed by SIGKILL after step 1"
    assert (crash["rank"], crash["step"], crash["restarts_left"]) == (1, 1, 3)
    assert "all start again in 1 s" in capfd.readouterr().err


def test_restarts_are_used_up(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "waits 70")
    with pytest.raises(RunFailed, match=r"rank 1 ended with exit code 70.*no restart"):
        launched(tmp_path, restarts=1)
    none_is_left(starts, 4)
    assert crash_of(tmp_path)["start"] == 1


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_would_end_the_same_way_is_not_tried_again(
    tmp_path, starts, monkeypatch, code
):
    monkeypatch.setenv("STUB", f"waits {code}")
    with pytest.raises(EndedWith) as ended:
        launched(tmp_path)
    assert ended.value.exit_code == code
    none_is_left(starts, 2)
    assert (tmp_path / "run" / "crash.json").exists() == (code == 3)


def test_one_that_is_asked_to_stop_ends_the_run(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "143 143")
    with pytest.raises(EndedWith) as ended:
        launched(tmp_path)
    assert ended.value.exit_code == 143
    none_is_left(starts, 2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "failure"),
    [
        ("asked143 asked143", Interrupted),
        ("asked143 asked3", EndedWith),
        ("asked0 asked0", None),
    ],
)
def test_a_signal_is_passed_on(tmp_path, starts, monkeypatch, words, failure):
    monkeypatch.setenv("STUB", words)
    monkeypatch.setattr(Signals, "__enter__", asking(starts))
    expected = pytest.raises(failure) if failure else contextlib.nullcontext()
    with expected:
        launched(tmp_path)
    none_is_left(starts, 2)


def asking(starts):
    """Returns how to enter signals so that SIGTERM comes once all are ready."""
    enter = Signals.__enter__

    def send():
        while len(list(starts.glob("ready-*"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGTERM)

    def entered(self):
        threading.Thread(target=send, daemon=True).start()
        return enter(self)

    return entered


def test_one_that_freezes_is_named(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "well SIGSTOP")
    launched(tmp_path, heartbeat=3)
    none_is_left(starts, 4)
    crash = crash_of(tmp_path)
    assert (crash["rank"], crash["kind"]) == (1, "frozen")


def test_steps_that_do_not_move_are_noticed(tmp_path, starts, monkeypatch):
    monkeypatch.setenv("STUB", "waits waits")
    with pytest.raises(RunFailed, match="took no step for 2 s after step 1"):
        launched(tmp_path, restarts=0, patience=2)
    none_is_left(starts, 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_none_outlives_its_parent(tmp_path, starts, monkeypatch, number):
    monkeypatch.setenv("STUB", "waits waits")
    command = [sys.executable, "-c", PARENT, str(tmp_path / "run")]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as parent:
        deadline = time.monotonic() + 30
        while len([p for p in starts.iterdir() if p.read_text()]) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(parent.pid, number)
        parent.wait(timeout=30)
    none_is_left(starts, 2)
