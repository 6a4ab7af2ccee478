"""Two processes of two devices train what one process of four devices trains."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from diamond.dsl.load import load_scheme
from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.progress import Silent
from diamond.runtime.session import open_session, run_session

STEPS = 12
STUDENT = 4
HEAD = f"""\
scheme tiny
model mlp {{ width = 8; layers = 1 }}
data digits {{ batch = 16 }}
train {{
  optimizer  = adamw(lr = 1e-2)
  loss       = cross_entropy
  steps      = {STEPS}
  checkpoint = 4
}}
"""
TIGHT = f"""{HEAD}
mesh {{ host = 2; chip = 2 }}
replicas over host {{ }}
replicas over chip {{ }}
"""
LOCAL = f"""{HEAD}
mesh {{ site = 2; chip = 2 }}
replicas over site {{
  consistency = local(every = 3, outer = nesterov)
  compression = int8(block = 64, feedback = true)
}}
replicas over chip {{ }}
"""
CUT = f"""{HEAD}
mesh {{ site = 2; host = 2 }}
replicas over site {{ compression = topk(density = 0.1, feedback = true) }}
parallelism {{ zero(stage = 3) over host }}
"""
ACROSS = f"""{HEAD}
mesh {{ host = 4 }}
parallelism {{ zero(stage = 2) over host }}
"""
ENSEMBLE = f"""{HEAD}
mesh {{ member = 2; chip = 2 }}
parallelism {{ ensemble over member }}
replicas over chip {{ }}
distill {{ model = mlp(width = 8); steps = {STUDENT} }}
"""
LATE = f"""{HEAD}
mesh {{ site = 2; chip = 2 }}
replicas over site {{
  consistency = pipelined
  compression = int8(block = 64, feedback = true)
}}
replicas over chip {{ }}
"""
SCHEMES = {"tight": TIGHT, "local": LOCAL, "cut": CUT, "across": ACROSS, "late": LATE}


def scheme_in(folder, text):
    path = folder / "tiny.diamond"
    path.write_text(text)
    return path


def environment():
    """Leaves to each process how many devices it has."""
    flags = [
        flag for flag in os.environ["XLA_FLAGS"].split() if "device_count" not in flag
    ]
    return {**os.environ, "XLA_FLAGS": " ".join(flags)}


def launch(scheme, out, *options):
    command = [sys.executable, "-m", "diamond.runtime.cli", "launch", str(scheme)]
    command += ["--hosts", "2", "--out", str(out), *options]
    return subprocess.Popen(
        command,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def launched(scheme, out, *options):
    """Returns what two processes print, who end well."""
    process = launch(scheme, out, *options)
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return output, errors


def session_of(scheme, engine="mesh", overrides=()):
    return open_session(load_scheme(scheme, overrides)[0], scheme.parent, engine=engine)


def trained(scheme, out, engine="mesh"):
    session = session_of(scheme, engine)
    run_session(session, out, engine, Silent())
    return session


def state_of(session, out, step=STEPS):
    """Returns what a run folder holds, on four devices of this process."""
    store = CheckpointStore(out / "checkpoints")
    return store.restore(step, session.program.abstract_state)


def same_bits(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def distance(one, other):
    """Returns the largest difference, relative to the largest entry of its array."""
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return max(
        np.abs(np.asarray(a, np.float64) - b).max() / max(np.abs(b).max(), 0.02)
        for a, b in pairs
    )


def losses_of(out):
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [
        (each["step"], each["loss"])
        for each in map(json.loads, lines)
        if "loss" in each
    ]


@pytest.mark.parametrize(
    "name",
    [
        "tight",
        *(
            pytest.param(each, marks=pytest.mark.slow)
            for each in ("local", "cut", "across", "late")
        ),
    ],
)
def test_two_processes_train_what_one_does(tmp_path, name):
    scheme = scheme_in(tmp_path, SCHEMES[name])
    session = trained(scheme, tmp_path / "one")
    output, errors = launched(scheme, tmp_path / "two", "--format", "json")
    one, two = (state_of(session, tmp_path / each) for each in ("one", "two"))
    assert distance(two.params, one.params) <= 1e-6
    result = json.loads(output)
    metrics = session.program.evaluate(one, session.data.held_out())
    assert result["metrics"]["loss"] == pytest.approx(metrics["loss"], rel=1e-6)
    losses = losses_of(tmp_path / "one")
    assert len(losses) > 1
    for (step, loss), (other, expected) in zip(
        losses_of(tmp_path / "two"), losses, strict=True
    ):
        assert step == other
        assert loss == pytest.approx(expected, rel=1e-6)
    assert "[rank 1]" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tight", "local"])
def test_two_processes_train_what_the_equations_say(tmp_path, name):
    scheme = scheme_in(tmp_path, SCHEMES[name])
    launched(scheme, tmp_path / "two", "--set", "train.checkpoint=6")
    session = session_of(scheme)
    state = state_of(session, tmp_path / "two")
    engine = session.engine("reference")
    truth = engine.init(jax.random.key(session.scheme.train.seed))
    for step in range(STEPS):
        truth, _ = engine.step(truth, session.data.batch_at(step))
    expected = engine.consolidated(truth)
    assert distance(session.program.params(state), expected) <= 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["local", "late"])
def test_a_run_goes_on_in_another_number_of_processes(tmp_path, name):
    scheme = scheme_in(tmp_path, SCHEMES[name])
    session = trained(scheme, tmp_path / "one")
    launched(scheme, tmp_path / "two", "--set", "train.steps=4")
    half = session_of(scheme, overrides=("train.steps=8",))
    run_session(half, tmp_path / "two", "mesh", Silent())
    launched(scheme, tmp_path / "two")
    one, two = (state_of(session, tmp_path / each) for each in ("one", "two"))
    assert distance(two, one) <= 1e-6


@pytest.mark.slow
def test_an_ensemble_and_its_student(tmp_path):
    scheme = scheme_in(tmp_path, ENSEMBLE)
    session = trained(scheme, tmp_path / "one")
    launched(scheme, tmp_path / "two")
    one, two = (state_of(session, tmp_path / each) for each in ("one", "two"))
    assert distance(two.params, one.params) <= 1e-6
    student = f"student-{STEPS:08}"
    one, two = (
        state_of(session.student, tmp_path / each / student, STUDENT)
        for each in ("one", "two")
    )
    assert distance(two.params, one.params) <= 1e-6


def wait_for_step(process, out, step):
    manifest = out / "checkpoints" / f"step-{step:08}" / "MANIFEST.json"
    deadline = time.monotonic() + 120
    while not manifest.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def children_of(process):
    """Returns the process id of each rank."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            words = (path / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent == process.pid and b"--process-id" in words:
            found[int(words[words.index(b"--process-id") + 1])] = int(path.name)
    return found


LAST = 600
LONG = ("--set", f"train.steps={LAST}", "--set", "train.checkpoint=100")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_rank_is_killed_and_the_run_ends_bit_for_bit_the_same(tmp_path, rank):
    scheme = scheme_in(tmp_path, LOCAL)
    launched(scheme, tmp_path / "calm", *LONG)
    process = launch(scheme, tmp_path / "killed", *LONG)
    wait_for_step(process, tmp_path / "killed", 100)
    pids = children_of(process)
    os.kill(pids[rank], signal.SIGKILL)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    assert "going on from the checkpoint of step" in errors
    crash = json.loads((tmp_path / "killed" / "crash.json").read_text())
    assert (crash["rank"], crash["kind"], crash["code"]) == (rank, "signal", 9)
    assert not any(Path("/proc", str(pid)).exists() for pid in pids.values())
    session = session_of(scheme, overrides=LONG[1::2])
    calm, killed = (
        state_of(session, tmp_path / each, LAST) for each in ("calm", "killed")
    )
    assert same_bits(calm, killed)


@pytest.mark.slow
@pytest.mark.parametrize("to", ["supervisor", "one rank"])
def test_a_signal_stops_all_after_one_step(tmp_path, to):
    scheme, out = scheme_in(tmp_path, LOCAL), tmp_path / "run"
    process = launch(scheme, out, *LONG)
    wait_for_step(process, out, 100)
    pid = process.pid if to == "supervisor" else children_of(process)[1]
    os.kill(pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    (step,) = {
        int(line.partition("stopped after step ")[2].partition(";")[0])
        for line in errors.splitlines()
        if "stopped after step" in line
    }
    assert errors.count("stopped after step") == 2
    assert CheckpointStore(out / "checkpoints").latest() == step
    assert process.returncode == 143


@pytest.mark.slow
def test_a_run_that_stops_being_finite_is_not_tried_again(tmp_path):
    scheme, out = scheme_in(tmp_path, LOCAL), tmp_path / "run"
    process = launch(scheme, out, "--set", "train.optimizer=sgd(lr = 1e30)")
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 3
    assert "is not finite, so training stopped" in errors
    assert "start again" not in errors
    crash = json.loads((out / "crash.json").read_text())
    assert (crash["kind"], crash["code"]) == ("exit", 3)


CERTIFY = """
import sys
from pathlib import Path
import jax
from diamond.dsl.load import load_scheme
from diamond.runtime.processes.cluster import Cluster
from diamond.runtime.processes.join import join
from diamond.runtime.session import open_session
cluster = Cluster("options", sys.argv[2], 2, int(sys.argv[3]))
peers = join(cluster, heartbeat=30, interface="lo")
scheme, _ = load_scheme(sys.argv[1])
session = open_session(scheme, Path(sys.argv[1]).parent, peers=peers)
print(session.certify())
assert {each.process_index for each in session.program.mesh.devices.flat} == {0, 1}
"""


@pytest.mark.slow
def test_the_program_of_two_processes_is_certified(tmp_path):
    scheme = scheme_in(tmp_path, LOCAL)
    address = "127.0.0.1:29477"
    command = [sys.executable, "-c", CERTIFY, str(scheme), address]
    pair = [
        subprocess.Popen(
            [*command, str(rank)], env=environment(), stdout=subprocess.PIPE, text=True
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert outputs[0] == outputs[1] == f"{session_of(scheme).certify()}\n"


def slurm(rank):
    """Returns the variables that srun sets for a task; the port hangs on the job."""
    return {
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": str(rank),
    }


def open_mpi(rank):
    """Returns the variables that mpirun sets up to Open MPI 4."""
    job = os.getpid() << 12
    return {
        "OMPI_MCA_orte_hnp_uri": f"{job}.0;tcp://127.0.0.1:34911",
        "OMPI_COMM_WORLD_SIZE": "2",
        "OMPI_COMM_WORLD_RANK": str(rank),
        "OMPI_COMM_WORLD_LOCAL_RANK": str(rank),
    }


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", [slurm, open_mpi])
def test_a_scheduler_says_who_is_who(tmp_path, scheduler):
    scheme = scheme_in(tmp_path, TIGHT)
    command = [sys.executable, "-m", "diamond.runtime.cli", "run", str(scheme)]
    command += ["--out", str(tmp_path / "two"), "--interface", "lo"]
    pair = [
        subprocess.Popen(command, env={**environment(), **scheduler(rank)})
        for rank in range(2)
    ]
    assert [process.wait(timeout=120) for process in pair] == [0, 0]
    session = trained(scheme, tmp_path / "one")
    one, two = (state_of(session, tmp_path / each) for each in ("one", "two"))
    assert distance(two.params, one.params) <= 1e-6


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("mpirun") is None, reason="there is no mpirun")
def test_mpirun_starts_a_run(tmp_path):
    scheme = scheme_in(tmp_path, TIGHT)
    command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
    command += [sys.executable, "-m", "diamond.runtime.cli", "run", str(scheme)]
    command += ["--out", str(tmp_path / "two"), "--coordinator", "127.0.0.1:29478"]
    subprocess.run(command, env=environment(), check=True, timeout=240)
    session = trained(scheme, tmp_path / "one")
    one, two = (state_of(session, tmp_path / each) for each in ("one", "two"))
    assert distance(two.params, one.params) <= 1e-6
