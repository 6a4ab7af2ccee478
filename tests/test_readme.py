"""What the README shows is what a user sees."""

import re
from pathlib import Path

import pytest

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.load import load_text
from diamond.dsl.render import render_all
from diamond.dsl.source import Source
from diamond.runtime.session import open_session

README = Path("README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def _block(start: str) -> str:
    [found] = [block for block in BLOCKS if block.startswith(start)]
    return found


def test_the_scheme_is_the_example() -> None:
    example = Path("examples/two_sites.diamond").read_text(encoding="utf-8")
    assert load_text(_block("scheme two_sites")) == load_text(example)


def test_what_explain_prints() -> None:
    scheme, _ = load_text(_block("scheme two_sites"))
    session = open_session(scheme, Path("examples"))
    printed = f"{session.program.explain()}\n\n{session.certify()}"
    for part in _block("exchanges\n").rstrip().split("\n\n"):
        assert part in printed


def test_what_an_error_looks_like() -> None:
    text = _block("scheme two_sites").replace("every = 10", "evry = 10")
    with pytest.raises(SchemeError) as caught:
        load_text(text)
    source = Source("two_sites.diamond", text)
    shown = render_all(caught.value.diagnostics, source)
    assert shown.startswith(_block("error["))
