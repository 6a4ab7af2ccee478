"""The layout: links in the import package, and arrows that never point back."""

import ast
from pathlib import Path

import pytest

import diamond
from diamond.dsl.vocabulary.tables import FAMILIES

ROOT = Path(__file__).parent.parent
ORDER = ("grammar", "dsl", "compiler", "runtime")
HEAVY = {"jax", "jaxlib", "numpy", "flax", "optax", "orbax", "rich", "sklearn"}


def imports_of(path):
    """Yields every module that a file imports, wherever the statement stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            yield node.module


@pytest.mark.parametrize("name", ORDER)
def test_each_folder_is_linked_into_the_package(name):
    link = ROOT / "diamond" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name


@pytest.mark.parametrize("name", ORDER)
def test_no_arrow_points_back(name):
    allowed = {f"diamond.{each}" for each in ORDER[: ORDER.index(name) + 1]}
    for path in (ROOT / name).rglob("*.py"):
        ours = [each for each in imports_of(path) if each.startswith("diamond")]
        strange = {".".join(each.split(".")[:2]) for each in ours} - allowed
        assert not strange, path


def test_the_language_imports_nothing_heavy():
    files = list((ROOT / "dsl").rglob("*.py"))
    assert len(files) > 20
    for path in files:
        assert not {each.split(".")[0] for each in imports_of(path)} & HEAVY, path


@pytest.mark.parametrize("family", FAMILIES)
def test_every_term_that_is_built_is_at_hand_in_python(family):
    for row in FAMILIES[family]:
        assert not row.built or hasattr(diamond, row.term.__name__), row
