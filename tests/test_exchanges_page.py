"""What the page about exchanges says is there."""

import re
from pathlib import Path

import pytest

from tests import products

PAGE = Path("docs/exchanges.md").read_text(encoding="utf-8")
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_named_test_is_there(file: str, name: str) -> None:
    assert f"\ndef {name}(" in Path(file).read_text(encoding="utf-8")


def test_every_special_case_names_its_test() -> None:
    table = PAGE.partition("## Special cases")[2].partition("##")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == len(NAMED) > 25


def test_the_numbers_of_combinations() -> None:
    text = " ".join(PAGE.split())
    one, two = products.one_axis(), products.two_axes()
    num, refused = len(one.accepted), one.refused
    assert f"checker accepts {num} and refuses {refused.total()}" in text
    assert all(f"{code} {count}" in text for code, count in refused.items())
    assert f"it accepts {len(two.accepted)}:" in text
