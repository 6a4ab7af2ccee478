"""Every example does what it says, and what the reference engine does."""

import importlib.util
import json
import math
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import diamond
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.tasks import make_task
from tests.comparison import follow, is_unrounded, shadow
from tests.conversion import Pair

EXAMPLES = sorted(Path("examples").glob("*.diamond"))
each_example = pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)


def _opened(path: Path, precision: str):
    scheme = diamond.load(path, [f"train.precision={precision}"])
    data = diamond.open_data(scheme, path.parent)
    program = diamond.compile(scheme, root=path.parent)
    return Pair(program, ReferenceEngine(scheme, make_task(scheme, data))), data


def test_there_is_an_example_of_each_kind() -> None:
    assert {path.stem for path in EXAMPLES} == {"digits", "text", "two_sites"}


@each_example
def test_fifty_steps_in_fp64(path) -> None:
    with jax.enable_x64(True):
        pair, data = _opened(path, "fp64")
        follow(pair, data.batch_at, steps=50, tolerance=1e-10)


@each_example
def test_fifty_steps_in_fp32(path) -> None:
    pair, data = _opened(path, "fp32")
    pair.program.certify()
    count = shadow(pair, data.batch_at, steps=50, tolerance=1e-5)
    assert count.beyond <= 1e-5 * count.entries
    if is_unrounded(pair.program.scheme):
        follow(pair, data.batch_at, steps=50, tolerance=1e-5)


def test_eight_bit_integers_are_what_crosses_between_the_sites() -> None:
    program = diamond.compile(diamond.load("examples/two_sites.diamond"))
    sent = {row.dtype: row for row in program.certify().rows if row.axis == "site"}
    assert set(sent) == {"s8", "f32"}
    assert sent["s8"].bytes > 50 * sent["f32"].bytes


def test_embed_trains_both_ways_to_the_same_loss() -> None:
    path = Path("examples/embed.py")
    spec = importlib.util.spec_from_file_location("embed", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    losses = module.main()
    assert losses["compiled"] == pytest.approx(losses["by_hand"], rel=1e-3)
    assert losses["compiled"] < 0.01


@pytest.mark.parametrize(
    ("name", "metric", "reached"),
    [
        ("digits", "accuracy", lambda value: value > 0.97),
        ("two_sites", "accuracy", lambda value: value > 0.95),
        pytest.param("text", "loss", lambda value: value < 2.5, marks=pytest.mark.slow),
    ],
)
def test_examples_reach_what_they_promise(name, metric, reached, tmp_path):
    out = tmp_path / "run"
    command = [sys.executable, "-m", "diamond.runtime.cli", "run", "--format", "json"]
    ended = subprocess.run(
        [*command, "--out", str(out), f"examples/{name}.diamond"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert reached(json.loads(ended.stdout)["metrics"][metric])
    records = [json.loads(line) for line in (out / "metrics.jsonl").open()]
    first = next(record["loss"] for record in records if "loss" in record)
    chance = {"text": 256}.get(name, 10)
    assert first == pytest.approx(math.log(chance), rel=0.1)
