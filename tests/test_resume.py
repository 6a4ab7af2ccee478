"""A real run, killed at any moment and started again, ends bit for bit the same."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from orbax.checkpoint.experimental import v1 as ocp

from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.checkpoints.manifest import read_manifest

SCHEME = """\
scheme tiny
model mlp { width = 8; layers = 1 }
data digits { batch = 32 }
train {
  optimizer  = adam(learning_rate = warmup_cosine(peak = 0.01, warmup = 5))
  steps      = STEPS
  checkpoint = 4
}
"""
NESTED = """\
mesh { site = 2; host = 2 }
replicas over site {
  consistency = synchronous for 20 steps, then local(every = 4, outer = nesterov)
  compression = int8(block = 64, feedback = true)
}
replicas over host { compression = cast(to = bf16, feedback = true) }
"""
# A mean on its way between sites, and within a site stale gradients in few values.
UNDER_WAY = """\
mesh { site = 2; host = 2 }
replicas over site {
  consistency = local(every = 6, outer = nesterov, delay = 3)
  compression = powersgd(rank = 1)
}
replicas over host {
  consistency = asynchronous(max_staleness = 3, compensation = dc)
  compression = dgc(density = 0.05)
}
"""


def start(scheme, folder):
    command = [sys.executable, "-m", "diamond.runtime.cli", "run", str(scheme)]
    command += ["--out", str(folder), "--format", "json"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(scheme, folder):
    process = start(scheme, folder)
    out, errors = process.communicate()
    assert process.returncode == 0, errors
    return json.loads(out)


def arrays(result):
    """Returns every array of a final state."""
    folder = Path(result["checkpoint"])
    leaves = [each for each in read_manifest(folder).leaves if np.prod(each.shape)]
    like = {each.name: np.zeros(each.shape, each.dtype) for each in leaves}
    return ocp.load(folder / "state", like)


def kill(scheme, folder, draw):
    """Kills a start at a random moment; says whether it came in time."""
    process = start(scheme, folder)
    if draw.random() < 0.8:
        while "initializing" not in (line := process.stderr.readline()):
            assert line
    time.sleep(draw.uniform(0, 4))
    return end(process)


def kill_in_its_steps(scheme, folder, draw):
    """Kills a start at a random moment after it saved more than was saved before."""
    store = CheckpointStore(folder / "checkpoints")
    before = max(store.steps(), default=0)
    process = start(scheme, folder)
    while max(store.steps(), default=0) <= before:
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(draw.uniform(0, 2))
    return end(process)


def end(process):
    """Kills a process; says whether it was running."""
    process.kill()
    code = process.wait()
    process.stdout.close()
    process.stderr.close()
    return code == -signal.SIGKILL


@pytest.mark.parametrize(
    ("axes", "kill_one", "kills", "steps"),
    [
        (NESTED, kill, 2, 60),
        pytest.param(NESTED, kill, 20, 1000, marks=pytest.mark.slow),
        pytest.param(UNDER_WAY, kill_in_its_steps, 4, 400, marks=pytest.mark.slow),
    ],
    ids=["nested-2", "nested-20", "under_way-4"],
)
def test_a_killed_run_ends_bit_for_bit_the_same(tmp_path, axes, kill_one, kills, steps):
    scheme = tmp_path / "tiny.diamond"
    scheme.write_text(SCHEME.replace("STEPS", str(steps)) + axes)
    draw = random.Random(kills)
    killed = sum(kill_one(scheme, tmp_path / "killed", draw) for _ in range(kills))
    assert killed >= kills / 2
    restarted = finish(scheme, tmp_path / "killed")
    undisturbed = finish(scheme, tmp_path / "whole")
    assert restarted["metrics"] == undisturbed["metrics"]
    left, right = arrays(restarted), arrays(undisturbed)
    assert left.keys() == right.keys()
    assert any(name.startswith("mixers") for name in left)
    for name, array in left.items():
        assert array.tobytes() == right[name].tobytes(), name
