"""What only a model's tensors show to be wrong, as the command prints it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.compiler.build import tensors_of
from diamond.dsl.legality.layers import layer_of, layers_of
from diamond.dsl.vocabulary import (
    ConvNet,
    Digits,
    Mlp,
    Scheme,
    Text,
    Transformer,
)
from diamond.runtime.cli.command import diamondc
from diamond.runtime.cli.guard import guarded
from diamond.runtime.data import open_data
from diamond.runtime.tasks import make_task

BROKEN = Path(__file__).parent.parent / "broken"
TEXT = """\
model mlp { width = 8; layers = 1 }
data digits { batch = 32 }
mesh { site = 2 }
replicas over site {
  compression = none for 4 steps, then int8(exclude = ["*/bias", "hed/*"])
}
"""


@pytest.fixture
def scheme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = Path("tiny.diamond")
    path.write_text(TEXT)
    return path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert guarded(diamondc, arguments) == 1
    out, err = capsys.readouterr()
    assert out == ""
    return err


def test_a_pattern_that_matches_no_tensor_is_shown_in_its_place(
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
    scheme: Path,
) -> None:
    assert guarded(diamondc, ["check", str(scheme)]) == 0
    capsys.readouterr()
    told = refused(capsys, "explain", str(scheme))
    golden(BROKEN / "made_pattern.txt", told)
    assert refused(capsys, "compile", str(scheme)) == told
    assert refused(capsys, "run", str(scheme), "--engine", "reference") == told


def test_a_codec_that_codes_no_tensor_is_shown_in_its_place(
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[Path, str], None],
    scheme: Path,
) -> None:
    laid = "zero(stage = 2, compression = int8(block = 4096)) over host"
    model, data, *_ = TEXT.splitlines()
    lines = [model, data, "mesh { host = 4 }", f"parallelism {{ {laid} }}"]
    scheme.write_text("\n".join(lines) + "\n")
    assert guarded(diamondc, ["check", str(scheme)]) == 0
    capsys.readouterr()
    golden(BROKEN / "made_codes_nothing.txt", refused(capsys, "explain", str(scheme)))


def test_a_pattern_of_an_override_is_shown_in_the_override(
    capsys: pytest.CaptureFixture[str], scheme: Path
) -> None:
    change = 'replicas.site.compression=int8(exclude = ["*/w"])'
    told = refused(capsys, "explain", str(scheme), "--set", change)
    assert "error[D088]" in told
    assert "--set" in told


@pytest.mark.parametrize(
    "model",
    [
        Mlp(width=4, layers=0),
        Mlp(width=4, layers=3),
        ConvNet(channels=2, width=4),
        Transformer(layers=2, width=8, heads=2, context=4),
        Transformer(layers=1, width=8, heads=2, context=4, positions="learned"),
    ],
)
def test_layers_are_counted_as_the_model_has_them(
    model: Mlp | ConvNet | Transformer,
) -> None:
    text = isinstance(model, Transformer)
    scheme = Scheme("tiny", model, Text(batch=2) if text else Digits(batch=2))
    assert scheme.data is not None
    task = make_task(scheme, open_data(scheme.data, Path(), 0, model))
    layers = {layer_of(tensor.path) for tensor in tensors_of(task)}
    assert layers_of(model)[1] == len(layers)
