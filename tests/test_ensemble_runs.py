"""Runs of an ensemble: they go on where they stopped."""

import shutil
from pathlib import Path

import numpy as np

from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.loop import Result
from diamond.runtime.progress import Silent
from diamond.runtime.session import open_session, run_session
from tests.test_resume import arrays

STOP, STEPS = 3, 6
TEXT = f"""\
scheme tiny
model mlp {{ width = 8; layers = 1 }}
data digits {{ batch = 16 }}
train {{ optimizer = adam(lr = 0.01); steps = {STEPS}; checkpoint = {STOP} }}
mesh {{ seat = 2; chip = 2 }}
parallelism {{ ensemble over seat }}
replicas over chip {{ compression = int8(block = 16, feedback = true) }}
"""


def _scheme(more: str = "") -> Scheme:
    scheme, _ = load_text(TEXT + more)
    return scheme


def _run(scheme: Scheme, folder: Path, engine: str = "mesh") -> Result:
    session = open_session(scheme, Path(), engine=engine)
    return run_session(session, folder, engine, Silent())


def _forget_last(folder: Path, stop: int) -> None:
    """Leaves a run as it was at an earlier checkpoint."""
    store = CheckpointStore(folder / "checkpoints")
    shutil.rmtree(store.path(STEPS))
    assert store.latest() == stop


def _are_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].tobytes() == other[name].tobytes() for name in one
    )


def test_an_ensemble_ends_as_if_it_had_never_stopped(tmp_path) -> None:
    whole = _run(_scheme(), tmp_path / "whole")
    end = arrays({"checkpoint": whole.checkpoint})
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    _forget_last(tmp_path / "stopped", STOP)
    again = _run(_scheme(), tmp_path / "stopped")
    assert _are_equal(arrays({"checkpoint": again.checkpoint}), end)
    assert again.metrics == whole.metrics
    kernels = next(v for k, v in end.items() if k.startswith("params/head/kernel"))
    assert kernels.shape[0] == 2
    assert (kernels[0] != kernels[1]).mean() > 0.9
