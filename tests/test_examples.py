"""Every example does what it says, and what the reference engine does."""

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import diamond
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.tasks import make_task
from tests.comparison import follow, follow_copies, is_unrounded, shadow
from tests.conversion import Pair

EXAMPLES = sorted(Path("examples").glob("*.diamond"))
AT_LENGTH = ("digits", "text", "two_sites")
MANY, FEW = 50, 20
# Those of one choice each, and the accuracy on held-out digits that they pass.
CHOICES = {
    "asynchronous": 0.97,
    "elastic": 0.97,
    "ensemble": 0.94,
    "gossip": 0.97,
    "mixed": 0.97,
    "onebit_adam": 0.97,
    "parameter_server": 0.97,
    "powersgd": 0.97,
    "streaming": 0.96,
}
# What changes late in a run changes early here, so that a few steps see all of it.
SOONER = {
    "elastic": ["replicas.host.consistency.every=4"],
    "mixed": ["settle=12", "replicas.site.consistency.every=4"],
    "onebit_adam": ["replicas.host.compression.start=15"],
    "powersgd": ["replicas.host.compression.start=10"],
    "streaming": [
        "replicas.site.consistency.every=4",
        "replicas.site.consistency.delay=1",
        "train.steps=401",
    ],
}


# Those that cut one copy up.
OF_TOKENS = (
    "experts",
    "hybrid",
    "pipeline",
    "sequence",
    "tensor",
    "zero",
    "zero_int8",
)
CUT = ("features", *OF_TOKENS)
# What needs more devices than tests have, and how many.
WIDE = {"five_axes": 32}


def each_example(*marks: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Parametrizes a test over the examples; those of one choice are marked."""
    rows = [
        pytest.param(path, id=path.stem, marks=marks if path.stem in CHOICES else ())
        for path in EXAMPLES
        if path.stem not in {*CUT, *WIDE}
    ]
    return pytest.mark.parametrize("path", rows)


def _opened(path: Path, precision: str):
    sooner = SOONER.get(path.stem, [])
    scheme = diamond.load(path, [f"train.precision={precision}", *sooner])
    data = diamond.open_data(scheme, path.parent)
    program = diamond.compile(scheme, root=path.parent)
    return Pair(program, ReferenceEngine(scheme, make_task(scheme, data))), data


def _steps(path: Path) -> int:
    return MANY if path.stem in AT_LENGTH else FEW


def test_there_is_an_example_of_each_kind() -> None:
    assert {path.stem for path in EXAMPLES} == {*AT_LENGTH, *CHOICES, *CUT, *WIDE}


@each_example(pytest.mark.slow)
def test_steps_in_fp64(path) -> None:
    with jax.enable_x64(True):
        pair, data = _opened(path, "fp64")
        follow(pair, data.batch_at, steps=_steps(path), tolerance=1e-10)


@each_example()
def test_steps_in_fp32(path) -> None:
    pair, data = _opened(path, "fp32")
    pair.program.certify()
    count = shadow(pair, data.batch_at, steps=_steps(path), tolerance=1e-5)
    assert count.beyond <= 1e-5 * count.entries
    if path.stem in AT_LENGTH and is_unrounded(pair.program.scheme):
        follow(pair, data.batch_at, steps=_steps(path), tolerance=1e-5)


@pytest.mark.parametrize(
    ("name", "share"),
    [
        ("gossip", "1/6.57"),
        ("mixed", "1/3.84"),
        ("mixed", "1/3.49"),
        ("onebit_adam", "1/3.33"),
        ("powersgd", "1/6.96"),
        ("streaming", "1/147"),
    ],
)
def test_head_and_readme_say_what_explain_says_of_the_bytes(name, share) -> None:
    path = Path(f"examples/{name}.diamond")
    head, _ = path.read_text(encoding="utf-8").split("\nscheme ")
    readme = Path("README.md").read_text(encoding="utf-8").splitlines()
    [row] = [line for line in readme if line.startswith(f"| `{name}` |")]
    program = diamond.compile(diamond.load(path), root=path.parent)
    for text in (head, row, f"{program.explain()}"):
        assert f" {share} " in f"{text} ".replace("\n", " ")


@pytest.mark.parametrize("name", CUT)
def test_a_copy_that_is_cut_up_is_certified_and_stays_with_the_whole_one(name) -> None:
    hold(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WIDE)
def test_a_wide_mesh_is_certified_and_stays_with_the_whole_copy(name) -> None:
    code = f"from tests.test_examples import hold; hold({name!r})"
    subprocess.run([sys.executable, "-c", code], env=_devices_for(name), check=True)


def _devices_for(name: str) -> dict[str, str]:
    """Returns an environment with as many devices as an example needs."""
    flag = f"--xla_force_host_platform_device_count={WIDE.get(name, 8)}"
    return {**os.environ, "XLA_FLAGS": flag}


def hold(name: str) -> None:
    """Holds an example against its plan, and against the reference engine."""
    with jax.enable_x64(True):
        pair, data = _opened(Path(f"examples/{name}.diamond"), "fp64")
        pair.program.certify()
        follow_copies(pair, data.batch_at, steps=3, tolerance=1e-10)


def test_eight_bit_integers_are_what_crosses_between_the_sites() -> None:
    program = diamond.compile(diamond.load("examples/two_sites.diamond"))
    sent = {row.dtype: row for row in program.certify().rows if row.axis == "site"}
    assert set(sent) == {"s8", "f32"}
    assert sent["s8"].bytes > 50 * sent["f32"].bytes


def _losses_of(script: str) -> dict[str, float]:
    spec = importlib.util.spec_from_file_location(script, f"examples/{script}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main()


def test_a_model_of_ones_own_is_cut_by_rules_as_by_names() -> None:
    losses = _losses_of("own_tensor")
    assert losses["by_rules"] == losses["by_names"] < 0.01


def test_a_model_of_ones_own_trains_in_stages_as_on_one_device() -> None:
    losses = _losses_of("own_pipeline")
    assert losses["in_stages"] == pytest.approx(losses["whole"], rel=1e-3)
    assert losses["in_stages"] < 0.5


def test_embed_trains_both_ways_to_the_same_loss() -> None:
    losses = _losses_of("embed")
    assert losses["compiled"] == pytest.approx(losses["by_hand"], rel=1e-3)
    assert losses["compiled"] < 0.01


@pytest.mark.parametrize(
    ("name", "metric", "reached"),
    [
        ("digits", "accuracy", lambda value: value > 0.97),
        ("two_sites", "accuracy", lambda value: value > 0.95),
        *(
            pytest.param(name, "loss", (2.5).__gt__, marks=pytest.mark.slow)
            for name in ("text", *OF_TOKENS, *WIDE)
        ),
        pytest.param("features", "accuracy", (0.94).__lt__, marks=pytest.mark.slow),
        *(
            pytest.param(name, "accuracy", least.__lt__, marks=pytest.mark.slow)
            for name, least in CHOICES.items()
        ),
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
        env=_devices_for(name),
    )
    assert reached(json.loads(ended.stdout)["metrics"][metric])
    records = [json.loads(line) for line in (out / "metrics.jsonl").open()]
    first = next(record["loss"] for record in records if "loss" in record)
    chance = 256 if name in ("text", *OF_TOKENS, *WIDE) else 10
    assert first == pytest.approx(math.log(chance), rel=0.1)
