import json
import os
import signal
import subprocess
import sys
import time

import pytest

from diamond.runtime.checkpoints import RunLock
from diamond.runtime.checkpoints.lock import STALE
from diamond.runtime.failures import EnvironmentProblem

HOLD = """
import sys, time
from pathlib import Path
from diamond.runtime.checkpoints.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_starter_is_refused_and_told_the_owner(tmp_path):
    process = holder(tmp_path)
    try:
        with pytest.raises(EnvironmentProblem) as error, RunLock(tmp_path):
            pass
        assert error.value.exit_code == 2
        assert f"process {process.pid} on {os.uname().nodename}" in str(error.value)
    finally:
        process.kill()
        process.wait()


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    process = holder(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with RunLock(tmp_path):
        assert json.loads((tmp_path / "run.lock").read_text())["pid"] == os.getpid()


def test_a_lock_can_be_taken_again_after_it_was_given_back(tmp_path):
    for _ in range(2):
        with RunLock(tmp_path):
            pass
    assert (tmp_path / "run.lock").read_text() == ""


def write_foreign_lock(folder, age):
    path = folder / "run.lock"
    owner = {"host": "elsewhere", "pid": 7, "started": "2026-01-01"}
    path.write_text(json.dumps(owner))
    moment = time.time() - age
    os.utime(path, (moment, moment))


def test_a_fresh_lock_of_another_host_is_respected(tmp_path):
    write_foreign_lock(tmp_path, age=STALE / 2)
    with pytest.raises(EnvironmentProblem, match="process 7 on elsewhere"):
        RunLock(tmp_path).__enter__()


def test_an_old_lock_of_another_host_is_taken_over(tmp_path):
    write_foreign_lock(tmp_path, age=STALE + 1)
    with RunLock(tmp_path):
        assert "elsewhere" not in (tmp_path / "run.lock").read_text()


def test_exactly_one_of_many_starters_proceeds(tmp_path):
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", HOLD, str(tmp_path)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(4)
    ]
    deadline = time.monotonic() + 60
    while sum(process.poll() is None for process in starts) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    for process in starts:
        process.kill()
    outputs = [process.communicate()[0] for process in starts]
    assert sorted(outputs) == ["", "", "", "held\n"]
