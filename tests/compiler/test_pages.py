"""The pages about algorithms are those of the docstrings, and say what a page must."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.compiler.pages import INDEX, Page, pages
from diamond.dsl.vocabulary.tables import FAMILIES

FOLDER = Path(__file__).parent.parent.parent / "docs" / "algorithms"
PAGES = tuple(pages())
FAMILIES_WITH_FILES = ("centralization", "consistency", "outer", "compression")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_is_that_of_the_docstring(
    page: Page, golden: Callable[[Path, str], None]
) -> None:
    golden(FOLDER / f"{page.name}.md", page.text)


def test_there_is_no_page_without_a_file() -> None:
    found = {path.stem for path in FOLDER.glob("*.md")}
    assert found == {page.name for page in PAGES}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != INDEX], ids=lambda page: page.name
)
def test_a_page_says_what_it_costs_and_where_it_comes_from(page: Page) -> None:
    assert "**Bill**" in page.text
    if page.name != "none":
        assert "**References**:" in page.text


def test_every_term_that_is_built_has_a_page() -> None:
    built = {
        row.name for name in FAMILIES_WITH_FILES for row in FAMILIES[name] if row.built
    }
    assert built <= {page.name for page in PAGES}
