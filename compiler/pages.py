"""The pages about algorithms, made from the docstrings of their files.

They stand in `docs/algorithms/`; a test holds them against the files. A file is read,
not imported, so that every algorithm with a file has a page.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from diamond.dsl.reference import arguments_of, table
from diamond.dsl.vocabulary.tables import FAMILIES, Row, row_of

HOME = Path(__file__).parent
FOLDERS = {
    "centralization": "exchange/centralization",
    "consistency": "exchange/consistency",
    "outer": "exchange/outer",
    "compression": "exchange/compression",
    "strategy": "parallelism",
}
TITLES = {
    "centralization": "Centralization: who talks to whom",
    "consistency": "Consistency: what is exchanged, and when",
    "outer": "Outer steps: what the copies do when they meet",
    "compression": "Compression: in what form values cross",
    "strategy": "Parallelism: how one copy is cut up",
}
INDEX = "README"
_LABEL = re.compile(r"^(Bill|Limits?|Defaults?|Traps?|References)([:,])", re.MULTILINE)


class Page(NamedTuple):
    """A page: its file's name without an ending, and its text."""

    name: str
    text: str


def pages() -> Iterator[Page]:
    """Yields the index and a page an algorithm.

    Example:
        >>> [page.name for page in pages()][:2]
        ['README', 'adasum']
    """
    files = [(family, file) for family in FOLDERS for file in _files(family)]
    yield Page(INDEX, _index())
    for family, file in files:
        yield Page(file.stem, _page(family, file))


def _files(family: str) -> list[Path]:
    """Returns the files of a family; beside the strategies stands what they share."""
    found = sorted((HOME / FOLDERS[family]).glob("*.py"))
    if family == "strategy":
        return [file for file in found if row_of(file.stem, family)]
    return [file for file in found if file.stem != "__init__"]


def _index() -> str:
    lines = [
        "# Algorithms",
        "",
        "A page an algorithm: its equations, what it sends, its special cases, and "
        "where it comes from.",
    ]
    for family, title in TITLES.items():
        lines += ["", f"## {title}", ""]
        for file in _files(family):
            name, what = _title(file)
            lines.append(f"- [{name}]({file.stem}.md): {what}")
    return "\n".join(lines) + "\n"


def _page(family: str, file: Path) -> str:
    name, what = _title(file)
    body = _LABEL.sub(r"\n**\1**\2", _docstring(file).partition("\n")[2])
    body = re.sub(r"\n{3,}", "\n\n", body).strip("\n")
    parts = [f"# {name}", f"{what[:1].upper()}{what[1:]}", body]
    row = next((row for row in FAMILIES[family] if row.name == file.stem), None)
    if row is not None:
        parts.append(_in_the_language(family, row))
    where = f"compiler/{FOLDERS[family]}/{file.name}"
    parts.append(f"The code: [`{where}`](../../{where}).")
    return "\n\n".join(parts) + "\n"


def _in_the_language(family: str, row: Row) -> str:
    # Links of the language's own page lead out of this folder.
    rows = [
        tuple(cell.replace("](#", "](../language.md#") for cell in cells)
        for cells in arguments_of(row.term)
    ]
    lines = ["## In the language", f"`{row.name}`, a choice of `{family}`."]
    if rows:
        lines.append(table(("argument", "takes", "default", "meaning"), rows))
    return "\n\n".join(lines)


def _title(file: Path) -> tuple[str, str]:
    """Returns the name and the one line about it, from a docstring's first line."""
    name, _, what = _docstring(file).partition("\n")[0].partition(": ")
    return name, what


def _docstring(file: Path) -> str:
    text = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert text, f"{file} has no docstring"
    return text
