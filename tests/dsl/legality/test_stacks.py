"""A model of the caller's own in a pipeline: what is said of one that has no stages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.dsl.checker import placed, places_of
from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.laid import spread
from diamond.dsl.legality.stacks import (
    Parts,
    calls_otherwise,
    loss_uses,
    of_parts,
    unlike,
)
from diamond.dsl.load import diagnose
from diamond.dsl.parser import parse
from diamond.dsl.render import render_all
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import Pipeline, Scheme

BROKEN = Path(__file__).parent.parent.parent / "broken"
TEXT = """\
mesh { stage = 4; chip = 2 }

parallelism {
  pipeline(microbatches = 8) over stage
  tensor over chip
}
"""
ALONE = TEXT.replace("  tensor over chip\n", "").replace("; chip = 2", "")
BLOCK = (("down/kernel", "float32[16, 8]"), ("up/kernel", "float32[8, 16]"))
ODD = (("down/kernel", "float32[16, 8]"), ("gate", "float32[8]"))


def scheme_of(text: str) -> Scheme:
    scheme, found = diagnose(Source("own.diamond", text))
    assert scheme is not None, found
    return scheme


def test_what_is_wrong_with_a_module_is_shown_in_its_place(
    golden: Callable[[Path, str], None],
) -> None:
    source = Source("own.diamond", TEXT)
    file, _ = parse(source)
    assert file is not None
    scheme, places = scheme_of(TEXT), places_of(file)
    [(axis, _)] = spread(scheme, Pipeline)
    lacking = ("`blocks` of `Net` is a `Sequential`, and no list of modules",)
    odd = Parts(
        "Net",
        blocks=(BLOCK, BLOCK, ODD),
        shared=(("embed/table", "blocks/0/table"),),
        outside=("scale",),
    )
    found = [
        *of_parts(scheme, odd),
        *of_parts(scheme_of(ALONE), Parts("Net", lacking)),
        unlike(axis, "a block of `Net` makes float32[2, 16] of float32[2, 8]"),
        calls_otherwise(axis, "Net", "the same numbers give other outputs"),
        loss_uses(axis, "reads `head` of the model"),
    ]
    shown = tuple(placed(each, places) for each in found)
    golden(BROKEN / "made_stages.txt", render_all(shown, source) + "\n")


def codes(parts: Parts, text: str = ALONE) -> list[str]:
    found: list[Finding] = list(of_parts(scheme_of(text), parts))
    return [each.code for each in found]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (Parts("Net", blocks=(BLOCK,) * 8), []),
        (Parts("Net", blocks=((),) * 4), []),
        (Parts("Net", blocks=(BLOCK,) * 6), ["D101"]),
        (Parts("Net", blocks=(*(BLOCK,) * 3, ODD)), ["D124"]),
        (Parts("Net", blocks=(*(BLOCK,) * 3, BLOCK[:1])), ["D124"]),
        (Parts("Net", ("`Net` has no `head`",)), ["D123"]),
        (Parts("Net", blocks=(BLOCK,) * 4, outside=("scale",)), ["D123"]),
    ],
)
def test_codes(parts: Parts, expected: list[str]) -> None:
    assert codes(parts) == expected


def test_chunks_count() -> None:
    wanted = "schedule = interleaved, chunks = 2, microbatches = 8"
    text = ALONE.replace("microbatches = 8", wanted)
    assert codes(Parts("Net", blocks=(BLOCK,) * 8), text) == []
    assert codes(Parts("Net", blocks=(BLOCK,) * 4), text) == ["D101"]


def test_nothing_is_asked_where_there_are_no_stages() -> None:
    text = "mesh { stage = 1 }; parallelism { pipeline over stage }"
    assert codes(Parts("Net", ("`Net` has no `head`",)), text) == []
