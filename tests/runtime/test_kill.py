"""Runs that are killed, and started again until they are done."""

import random
import signal
import subprocess
import sys
import time

import pytest

from diamond.runtime.checkpoints import CheckpointStore
from tests.runtime.fakes import Drift, final_params

STEPS = 40


def start(folder, steps=STEPS, sleep=0.01, compiles="yes"):
    command = [sys.executable, "-m", "tests.runtime.fakes"]
    command += [str(folder), str(steps), str(sleep), compiles]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def params_of(folder, step):
    import jax

    store = CheckpointStore(folder / "checkpoints")
    assert store.latest() == step
    return store.restore(step, Drift().init(jax.random.key(0))).params["x"]


def last_saved(folder):
    steps = CheckpointStore(folder / "checkpoints").steps()
    return steps[-1] if steps else 0


def kill_at_random(folder, kills, seed):
    """Kills starts at random moments, from imports to the end; returns the count."""
    draw = random.Random(seed)
    killed = 0
    for _ in range(kills):
        before = last_saved(folder)
        process = start(folder)
        if draw.random() < 0.8:
            read_until(process, "...")
        time.sleep(draw.uniform(0, 0.4))
        process.kill()
        killed += process.wait() == -signal.SIGKILL
        process.stderr.close()
        assert last_saved(folder) >= before
    return killed


def finish(folder):
    process = start(folder, sleep=0)
    _, errors = process.communicate()
    assert process.returncode == 0, errors


@pytest.mark.parametrize(
    "kills", [4, pytest.param(100, marks=pytest.mark.slow)], ids=str
)
def test_a_run_that_is_killed_again_and_again_ends_the_same(tmp_path, kills):
    folder = tmp_path / "run"
    assert kill_at_random(folder, kills, seed=kills) > kills / 2
    finish(folder)
    assert params_of(folder, STEPS).tobytes() == final_params(STEPS).tobytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_ends_with_its_code(tmp_path, number):
    folder = tmp_path / "run"
    process = start(folder, steps=10**6)
    wait_for(lambda: last_saved(folder))
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert f"{number.name}: stopping after this step" in errors
    step = last_saved(folder)
    assert f"stopped after step {step}; all is saved" in errors
    assert params_of(folder, step).tobytes() == final_params(step).tobytes()


def test_a_second_signal_leaves_at_once(tmp_path):
    process = start(tmp_path / "run", sleep=300, compiles="")
    wait_for(lambda: (tmp_path / "run" / "metrics.jsonl").exists())
    process.send_signal(signal.SIGINT)
    read_until(process, "SIGINT: stopping after this step")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 130


def test_where_nothing_is_lost_the_first_signal_leaves_at_once(tmp_path):
    process = start(tmp_path / "run", sleep=300)
    read_until(process, "compiling")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143


def read_until(process, text):
    while text not in (line := process.stderr.readline()):
        assert line


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
