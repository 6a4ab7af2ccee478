"""Runs of an ensemble and its student: they go on where they stopped."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.failures import EnvironmentProblem
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


def _forget_last(folder: Path) -> None:
    """Leaves a run as it was at its checkpoint in the middle."""
    store = CheckpointStore(folder / "checkpoints")
    shutil.rmtree(store.path(STEPS))
    assert store.latest() == STOP


def _are_equal(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(
        one[name].tobytes() == other[name].tobytes() for name in one
    )


def test_an_ensemble_ends_as_if_it_had_never_stopped(tmp_path) -> None:
    whole = _run(_scheme(), tmp_path / "whole")
    end = arrays({"checkpoint": whole.checkpoint})
    shutil.copytree(tmp_path / "whole", tmp_path / "stopped")
    _forget_last(tmp_path / "stopped")
    again = _run(_scheme(), tmp_path / "stopped")
    assert _are_equal(arrays({"checkpoint": again.checkpoint}), end)
    assert again.metrics == whole.metrics
    kernels = next(v for k, v in end.items() if k.startswith("params/head/kernel"))
    assert kernels.shape[0] == 2
    assert (kernels[0] != kernels[1]).mean() > 0.9


DISTILL = f"distill {{ model = mlp(width = 4); steps = {STEPS}; weight = WEIGHT }}"


def _distilling(weight: float = 0.5) -> Scheme:
    return _scheme(DISTILL.replace("WEIGHT", f"{weight}"))


def test_a_student_goes_on_too_and_takes_up_a_finished_ensemble(tmp_path) -> None:
    alone = _run(_scheme(), tmp_path / "alone")
    assert alone.student is None
    taken_up = _run(_distilling(), tmp_path / "alone")
    whole = _run(_distilling(), tmp_path / "whole")
    student = whole.student
    assert student is not None and taken_up.student is not None
    assert student.checkpoint.parent.parent == tmp_path / "whole/student-00000006"
    assert set(student.metrics) == {"loss", "accuracy"}
    end = arrays({"checkpoint": student.checkpoint})
    assert _are_equal(arrays({"checkpoint": taken_up.student.checkpoint}), end)
    assert end["params/head/kernel"].shape == (4, 10)

    _forget_last(tmp_path / "whole/student-00000006")
    again = _run(_distilling(), tmp_path / "whole").student
    assert again is not None
    assert _are_equal(arrays({"checkpoint": again.checkpoint}), end)
    assert again.metrics == student.metrics
    with pytest.raises(EnvironmentProblem, match=r"distill\.weight: saved 0\.5"):
        _run(_distilling(0.25), tmp_path / "whole")


def test_the_reference_engine_distils_to_the_same(tmp_path) -> None:
    found = _run(_distilling(), tmp_path / "mesh")
    truth = _run(_distilling(), tmp_path / "reference", "reference")
    assert found.student is not None and truth.student is not None
    assert found.metrics == pytest.approx(truth.metrics, rel=1e-3)
    assert found.student.metrics == pytest.approx(truth.student.metrics, rel=1e-3)
