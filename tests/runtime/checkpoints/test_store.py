import json
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from diamond.runtime.checkpoints import CheckpointStore, Damaged
from diamond.runtime.failures import EnvironmentProblem, RunFailed


def state_at(step):
    """A state of every kind of leaf that an engine may hold."""
    mesh = jax.make_mesh(
        (2, 2), ("a", "b"), axis_types=(jax.sharding.AxisType.Auto,) * 2
    )
    rows = NamedSharding(mesh, PartitionSpec("a", "b"))
    spread = NamedSharding(mesh, PartitionSpec(("a", "b")))
    return {
        "step": step,
        "params": (jax.device_put(jnp.arange(16.0).reshape(4, 4) + step, rows), None),
        "codes": jax.device_put(jnp.full((4, 2), step, jnp.int8), spread),
        "narrow": jnp.array([1.5, -0.0], jnp.bfloat16),
        "zeros": np.array([-0.0, 0.0, np.nan, np.inf, -np.inf]),
        "empty": np.zeros((0, 3), np.float32),
        "key": jax.random.key(step),
        "rate": 0.25,
        "done": False,
    }


def same_bits(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for one, other in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert type(one) is type(other)
        if isinstance(one, jax.Array):
            assert one.sharding == other.sharding
            assert one.dtype == other.dtype
            if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
                one, other = jax.random.key_data(one), jax.random.key_data(other)
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()


def flat(value):
    return {"x": np.full(8, float(value))}


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(tmp_path / "checkpoints", warn=WARNED.append)


WARNED: list[str] = []


@pytest.fixture(autouse=True)
def forget_warnings():
    WARNED.clear()


def test_a_state_comes_back_bit_for_bit_on_the_same_shardings(store):
    store.save(7, state_at(7), {"scheme": "tiny"})
    assert store.latest() == 7
    assert store.meta(7) == {"scheme": "tiny"}
    same_bits(store.restore(7, state_at(0)), state_at(7))


def test_fp64_does_not_come_back_narrowed(store):
    with jax.enable_x64(True):
        state = {"x": jnp.arange(3.0) / 3, "n": 5}
        store.save(1, state, {})
        with pytest.raises(EnvironmentProblem, match=r"`x` .* float64 .* as float32"):
            store.restore(1, state)
    jax.config.update("jax_enable_x64", True)
    try:
        same_bits(store.restore(1, state), state)
    finally:
        jax.config.update("jax_enable_x64", False)


def test_an_abstract_state_is_enough_to_restore(store):
    state = {"params": state_at(3)["params"]}
    store.save(3, state, {})
    like = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
    )
    same_bits(store.restore(3, like), state)


def test_the_newest_two_are_kept(store):
    for step in (10, 20, 30):
        store.save(step, flat(step), {})
    assert store.steps() == (20, 30)
    assert sorted(path.name for path in store.folder.iterdir()) == [
        "step-00000020",
        "step-00000030",
    ]


def test_a_step_without_a_manifest_does_not_exist(store):
    store.save(10, flat(1), {})
    path = store.save(20, flat(2), {})
    (path / "MANIFEST.json").unlink()
    assert store.steps() == (10,)
    assert store.latest() == 10
    assert not path.exists()


def test_a_file_that_is_not_ours_is_never_deleted(store):
    path = store.save(10, flat(1), {})
    (path / "notes.txt").write_text("mine")
    (path / "MANIFEST.json").unlink()
    assert store.latest() is None
    assert (path / "notes.txt").read_text() == "mine"
    store.save(10, flat(2), {})
    assert store.restore(10, flat(0))["x"][0] == 2
    assert (path / "notes.txt").exists()


def files_of(path):
    return sorted(each for each in path.rglob("*") if each.is_file())


def full_files_of(path):
    return [each for each in files_of(path) if each.stat().st_size]


def flip(path, seed=0):
    rng = np.random.default_rng(seed)
    data = bytearray(path.read_bytes())
    data[rng.integers(len(data))] ^= 1 << rng.integers(8)
    path.write_bytes(data)


def test_a_flipped_bit_in_any_file_is_found_and_the_older_step_taken(store, tmp_path):
    store.save(10, state_at(10), {})
    path = store.save(20, state_at(20), {})
    whole = tmp_path / "whole"
    shutil.copytree(store.folder, whole)
    names = [each.relative_to(path) for each in full_files_of(path)]
    assert len(names) > 5
    for number, name in enumerate(names):
        shutil.rmtree(store.folder)
        shutil.copytree(whole, store.folder)
        WARNED.clear()
        flip(path / name, seed=number)
        assert store.latest() == 10
        assert len(WARNED) == 1
        assert str(name) in WARNED[0]
        aside = store.folder / "step-00000020.damaged"
        assert aside.is_dir()
    same_bits(store.restore(10, state_at(0)), state_at(10))


MUTATIONS = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_other_damage_is_found(store, name):
    path = store.save(10, flat(1), {})
    for each in full_files_of(path):
        data = each.read_bytes()
        MUTATIONS[name](each)
        with pytest.raises(Damaged, match=each.name):
            store.restore(10, flat(0))
        each.write_bytes(data)
    store.restore(10, flat(0))


def test_restoring_does_not_trust_a_file_outside(store):
    path = store.save(10, flat(1), {})
    victim = files_of(path / "state")[0]
    moved = store.folder / "moved"
    victim.rename(moved)
    victim.symlink_to(moved)
    with pytest.raises(Damaged, match="outside the checkpoint"):
        store.restore(10, flat(0))


def test_steps_that_are_all_damaged_do_not_pass_for_a_fresh_start(store):
    flip(full_files_of(store.save(10, flat(1), {}))[0])
    with pytest.raises(RunFailed, match="every checkpoint"):
        store.latest()
    assert store.latest() is None


def test_another_state_is_refused_by_name(store):
    store.save(10, {"a": np.zeros(3, np.float32), "b": np.zeros(1)}, {})
    like = {"a": np.zeros(4, np.float32), "c": np.zeros(1)}
    with pytest.raises(EnvironmentProblem) as error:
        store.restore(10, like)
    assert "a: saved float32[3], now float32[4]" in str(error.value)
    assert "b: saved float64[1], now nothing" in str(error.value)


def test_a_failed_save_leaves_the_older_step(store, monkeypatch):
    store.save(10, flat(1), {})

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(RunFailed, match=r"step 20 .*No space left"):
            store.save(20, flat(2), {})
    assert store.latest() == 10
    assert store.restore(10, flat(0))["x"][0] == 1
    assert not (store.folder / "step-00000020").exists()


def test_a_full_disk_is_told_in_one_line(tmp_path):
    code = """
import pathlib, resource, sys, numpy as np
from diamond.runtime.checkpoints import CheckpointStore
store = CheckpointStore(pathlib.Path(sys.argv[1]))
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
try:
    store.save(1, {"x": np.arange(50000.0)}, {})
except Exception as error:
    print(type(error).__name__, error)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("RunFailed the checkpoint of step 1 could not be")
    assert "File too large" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_read_is_told(store, monkeypatch):
    store.save(10, flat(1), {})

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.iterdir", refuse)
    with pytest.raises(RunFailed, match=r"checkpoints cannot be used: .*denied"):
        store.latest()


def test_a_crash_between_any_two_operations_leaves_a_whole_step(tmp_path, monkeypatch):
    """Every rename, deletion and flush of a save is a place to die."""
    calls = count_operations(tmp_path / "counting", monkeypatch)
    assert calls > 10
    for moment in range(calls):
        folder = tmp_path / str(moment)
        store = CheckpointStore(folder, warn=WARNED.append)
        prepare(store)
        with monkeypatch.context() as patch:
            died = die_at(patch, moment)
            with pytest.raises(Died):
                store.save(30, flat(3), {})
        assert died.count > moment
        again = CheckpointStore(folder, warn=WARNED.append)
        latest = again.latest()
        assert latest in (20, 30)
        assert again.restore(latest, flat(0))["x"][0] == latest // 10
        assert len(again.steps()) >= 2
    assert not WARNED


class Died(BaseException):
    pass


class Death:
    def __init__(self, moment):
        self.moment = moment
        self.count = 0

    def wrap(self, operation):
        def wrapped(*args, **kwargs):
            self.count += 1
            if self.count == self.moment + 1:
                raise Died
            return operation(*args, **kwargs)

        return wrapped


def die_at(patch, moment):
    import pathlib

    death = Death(moment)
    patch.setattr("os.fsync", death.wrap(__import__("os").fsync))
    patch.setattr("shutil.rmtree", death.wrap(shutil.rmtree))
    for name in ("rename", "unlink", "rmdir"):
        operation = getattr(pathlib.Path, name)
        patch.setattr(pathlib.Path, name, death.wrap(operation))
    return death


def prepare(store):
    store.save(10, flat(1), {})
    store.save(20, flat(2), {})


def count_operations(folder, monkeypatch):
    store = CheckpointStore(folder)
    prepare(store)
    with monkeypatch.context() as patch:
        death = die_at(patch, 10**6)
        store.save(30, flat(3), {})
    return death.count


def test_the_manifest_is_readable_json(store):
    path = store.save(10, flat(1), {"mesh": {"host": 2}})
    content = json.loads((path / "MANIFEST.json").read_text())
    assert content["meta"] == {"mesh": {"host": 2}}
    assert content["leaves"] == [{"name": "x", "dtype": "float64", "shape": [8]}]
