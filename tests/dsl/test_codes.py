"""Codes: each is raised somewhere, has a golden file, and is in the documents."""

import re
from pathlib import Path

import pytest

from diamond.dsl.codes import CODES, Code
from diamond.dsl.load import diagnose
from diamond.dsl.source import Source

ROOT = Path(__file__).parent.parent.parent
GOLDENS = "\n".join(path.read_text() for path in (ROOT / "tests/broken").glob("*.txt"))
SOURCES = "\n".join(path.read_text() for path in (ROOT / "dsl").rglob("*.py"))
PAGE = (ROOT / "docs/diagnostics.md").read_text()
NAMES = [code.code for code in CODES]
SECTIONS = dict(re.findall(r"^## (D\d{3}): (.*?)(?=^## |\Z)", PAGE, re.M | re.S))
EXAMPLES = {
    name: example[1]
    for name, section in SECTIONS.items()
    if (example := re.search(r"^```diamond\n(.*?)^```$", section, re.M | re.S))
}


def test_codes_are_sorted_and_differ() -> None:
    assert sorted(set(NAMES)) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_code_has_a_golden(name: str) -> None:
    assert f"[{name}]: " in GOLDENS


def test_the_page_has_the_codes_of_the_table() -> None:
    assert list(SECTIONS) == NAMES


@pytest.mark.parametrize("code", CODES, ids=lambda code: code.code)
def test_each_section_has_a_cause_an_example_and_a_fix(code: Code) -> None:
    section = SECTIONS[code.code]
    assert section.startswith(f"{code.title}\n")
    assert code.explanation in section.replace("\n", " ")
    assert "\n```" in section
    assert "\n**Fix**: " in section


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_shows_its_code_and_no_other_error(name: str) -> None:
    _, found = diagnose(Source("example.diamond", EXAMPLES[name]))
    assert name in [one.code for one in found]
    others = [one for one in found if one.code != name and one.severity == "error"]
    assert not others


def test_only_codes_of_the_table_are_raised() -> None:
    assert set(re.findall(r'"(D\d{3})"', SOURCES)) == set(NAMES)
