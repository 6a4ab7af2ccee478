"""The examples in the docstrings of compiler, runtime and facade do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


def modules_with_examples():
    files = [
        *(ROOT / "compiler").rglob("*.py"),
        *(ROOT / "runtime").rglob("*.py"),
        *(ROOT / "diamond").glob("*.py"),
    ]
    for path in sorted(files):
        if ">>>" in path.read_text():
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts if parts[0] == "diamond" else ("diamond", *parts))


MODULES = tuple(modules_with_examples())


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.attempted > 0
    assert result.failed == 0


def test_there_are_examples():
    assert len(MODULES) > 30
