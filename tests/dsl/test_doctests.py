"""The examples in the docstrings of the language do what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

DSL = Path(__file__).parent.parent.parent / "dsl"
FILES = [path.relative_to(DSL.parent) for path in sorted(DSL.rglob("*.py"))]
MODULES = [".".join(("diamond", *path.with_suffix("").parts)) for path in FILES]
FLAGS = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL


@pytest.mark.parametrize("name", [n for n in MODULES if not n.endswith("__init__")])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=FLAGS)
    assert result.failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(n) for n in MODULES if "__init__" not in n]
    found = [test for module in modules for test in finder.find(module)]
    assert sum(bool(test.examples) for test in found) > 40
