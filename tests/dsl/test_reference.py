"""The language reference: its tables are the vocabulary's, and its examples hold."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.dsl.codes import CODES
from diamond.dsl.formatter import format_text
from diamond.dsl.load import diagnose
from diamond.dsl.reference import PLACES, reference
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import FAMILIES
from diamond.dsl.vocabulary.blocks import BLOCKS
from diamond.dsl.vocabulary.fields import fields_of

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "language.md").read_text(encoding="utf-8")
MARK = "<!-- From here on the page is made from the vocabulary: `reference.py`. -->\n"
INTRODUCTION, _ = PAGE.split(MARK)
EXAMPLES = re.findall(r"^```diamond\n(.*?)^```$", INTRODUCTION, re.M | re.S)
OVERRIDES = re.findall(r"^\$ (diamondc .* --set .*)$", INTRODUCTION, re.M)


def test_the_tables_are_those_of_the_vocabulary(
    golden: Callable[[Path, str], None],
) -> None:
    golden(DOCS / "language.md", f"{INTRODUCTION}{MARK}\n{reference()}")


@pytest.mark.parametrize("text", EXAMPLES, ids=lambda text: text.splitlines()[0])
def test_an_example_is_accepted_and_laid_out_as_fmt_does(text: str) -> None:
    source = Source("example.diamond", text)
    scheme, found = diagnose(source)
    assert not found
    assert scheme is not None
    assert format_text(source) == text


@pytest.mark.parametrize("command", OVERRIDES)
def test_an_override_is_accepted_and_changes_the_scheme(command: str) -> None:
    source = Source("two_sites.diamond", EXAMPLES[0])
    _, _, name, _, override = shlex.split(command)
    changed, found = diagnose(source, [override])
    assert not found
    assert name == source.name
    assert changed != diagnose(source)[0]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) == 7
    assert len(OVERRIDES) == 11


@pytest.mark.parametrize("text", [form.example for form in BLOCKS])
def test_the_example_of_a_block_is_read(text: str) -> None:
    _, found = diagnose(Source("example.diamond", text))
    absent = {"D040", "D043", "D042", "D119"}
    assert {one.code for one in found} <= absent


@pytest.mark.parametrize("family", FAMILIES)
def test_every_term_and_argument_is_in_its_section(family: str) -> None:
    heading, _ = PLACES[family]
    section = reference().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    for row in FAMILIES[family]:
        assert f"| `{row.name}` |" in section
        for field in fields_of(row.term):
            assert f"| | `{field.name}` |" in section


def test_links_lead_somewhere() -> None:
    pages = {"": PAGE, **{p.name: p.read_text() for p in DOCS.glob("*.md")}}
    links = set(re.findall(r"\]\(([\w.]*\.md)?#([\w-]+)\)", PAGE))
    assert len(links) > 15
    for page, anchor in links:
        headings = re.findall(r"^#+ (.*)$", pages[page], re.M)
        assert anchor in {slug(heading) for heading in headings}


def slug(heading: str) -> str:
    """Returns the anchor of a heading, as it is made where the page is shown."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_codes_that_the_page_names_are_there() -> None:
    assert set(re.findall(r"D\d{3}", PAGE)) <= {code.code for code in CODES}
