"""Broken files: each is refused with the diagnostics of its golden file."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.load import load_scheme
from diamond.dsl.render import render_all
from tests.dsl.unbuilt import without

BROKEN = Path(__file__).parent.parent / "broken"
FILES = sorted(BROKEN.glob("*.diamond"))
Golden = Callable[[Path, str], None]


def report(name: str) -> str:
    """Returns what is wrong with a file; `# --set` lines in it are overrides."""
    file = Path(name)
    text = file.read_bytes().decode("utf-8", "replace") if file.is_file() else ""
    overrides = re.findall(r"^# --set (.*)$", text, re.MULTILINE)
    with pytest.raises(SchemeError) as refusal:
        load_scheme(name, overrides)
    return render_all(refusal.value.diagnostics, refusal.value.source) + "\n"


# Files that would be too large to keep, by what is written to them.
MADE = {
    "too_large": "#" * (2**20 + 1),
    "too_many_tokens": "mesh { a = 2; b = 4 }\n" * 10_000,
    "too_many_errors": "mesh { a: 2 }\n" * 200,
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_broken_file(
    path: Path, golden: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(BROKEN)
    golden(path.with_suffix(".txt"), report(path.name))


def test_arguments_that_are_not_built(
    golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = "mesh { a = 2 }\nreplicas over a {\n  "
    text += "centralization = allreduce(algorithm = ring)\n  "
    text += "consistency = local(every = 10, outer = nesterov)\n}\n"
    Path("not_built.diamond").write_text(text)
    with (
        without("centralization", "allreduce", "algorithm"),
        without("outer", "nesterov"),
    ):
        text = report("not_built.diamond")
    golden(BROKEN / "made_not_built.txt", text)


@pytest.mark.parametrize("name", MADE)
def test_made_file(
    name: str, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(f"{name}.diamond").write_text(MADE[name])
    golden(BROKEN / f"made_{name}.txt", report(f"{name}.diamond"))


@pytest.mark.parametrize("name", ["missing", "directory"])
def test_no_file(
    name: str, golden: Golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("directory.diamond").mkdir()
    golden(BROKEN / f"made_{name}.txt", report(f"{name}.diamond"))


def test_there_are_a_hundred_broken_files() -> None:
    assert len(FILES) >= 100
