import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond.dsl.codes import CODES
from diamond.dsl.diagnostics import Diagnostic, Label
from diamond.dsl.parser import parse
from diamond.dsl.render import render, render_all, to_json
from diamond.dsl.source import Source, Span


def at(text: str, marked: str) -> Span:
    place = text.index(marked)
    return Span(place, place + len(marked))


def report(text: str, marked: str, **more: str) -> list[str]:
    found = Diagnostic("D021", "a message", at(text, marked), **more)
    return render(found, Source("a.diamond", text)).splitlines()


def test_the_form():
    lines = ["\n"] * 6 + ["  consistency = local(evry = 64)\n"]
    text = "".join(lines)
    found = Diagnostic(
        "D021",
        "`local` has no argument `evry`",
        at(text, "evry"),
        help="did you mean `every`?",
    )
    expected = """\
error[D021]: `local` has no argument `evry`
  --> examples/two_sites.diamond:7:23
 7 |   consistency = local(evry = 64)
   |                       ^^^^ help: did you mean `every`?"""
    assert render(found, Source("examples/two_sites.diamond", text)) == expected


def test_expected_stands_before_help():
    assert report("x: 1", ":", expected="`=`", help="write `=`")[2:] == [
        " 1 | x: 1",
        "   |  ^ expected `=`",
        "   |    help: write `=`",
    ]


def test_labels_stand_in_order_of_lines():
    text = "mesh {\n  a = 1\n" + "\n" * 8 + "let b = 2"
    found = Diagnostic(
        "D011",
        "`{` is never closed",
        Span(text.index("let"), text.index("let")),
        expected="`}`",
        labels=(Label(at(text, "{"), "opened here"),),
    )
    assert render(found, Source("a", text)).splitlines()[1:] == [
        "   --> a:11:1",
        "  1 | mesh {",
        "    |      - opened here",
        " 11 | let b = 2",
        "    | ^ expected `}`",
    ]


def test_two_marks_on_one_line_show_it_once():
    text = "f(a = 1"
    found = Diagnostic("D1", "m", Span(7, 7), labels=(Label(Span(1, 2), "opened"),))
    assert render(found, Source("a", text)).splitlines()[2:] == [
        " 1 | f(a = 1",
        "   |  - opened",
        "   |        ^",
    ]


@pytest.mark.parametrize(
    ("text", "shown", "under"),
    [
        ("\tx = !", "    x = !", "        ^"),
        ("日本 !", "日本 !", "     ^"),
        ("e\u0301 !", "e\u0301 !", "  ^"),
        ("a\u200bb !", "a\u200bb !", "   ^"),
        ("\ufeffx !", "x !", "  ^"),
        ("\x1b[2J !", "\ufffd[2J !", "     ^"),
        ("\u202e !", "\ufffd !", "  ^"),
        ("😀!", "😀!", "  ^"),
    ],
)
def test_carets_stand_under_what_is_shown(text, shown, under):
    assert report(text, "!")[2:] == [f" 1 | {shown}", f"   | {under}"]


def test_carets_cover_wide_characters():
    assert report("x 日本 y", "日本")[3] == "   |   ^^^^"


def test_a_span_of_several_lines_is_marked_to_the_end_of_the_first():
    text = "f(\n  a = 1\n)"
    assert report(text, text)[2:] == [" 1 | f(", "   | ^^"]


def test_a_span_at_the_end_of_the_text():
    text = "let x =\r\n"
    lines = render(Diagnostic("D1", "m", Span(7, 7)), Source("a", text)).splitlines()
    assert lines[1:] == ["  --> a:1:8", " 1 | let x =", "   |        ^"]
    lines = render(Diagnostic("D1", "m", Span(9, 9)), Source("a", text)).splitlines()
    assert lines[1:] == ["  --> a:2:1", " 2 |", "   | ^"]


def test_a_long_line_is_cut_around_the_span():
    lines = report("x" * 5000 + "!" + "y" * 5000, "!")
    assert lines[2] == f" 1 | ...{'x' * 60}!{'y' * 59}..."
    assert lines[3] == f"   | {' ' * 63}^"
    lines = report("x" * 5000, "x" * 5000)
    assert max(map(len, lines)) < 140


def test_without_a_place():
    found = Diagnostic("D001", "cannot read", help="look")
    source = Source("a.diamond", "")
    assert render(found, source) == (
        "error[D001]: cannot read\n  --> a.diamond\n  help: look"
    )
    assert render(found, None) == "error[D001]: cannot read\n  help: look"


def test_a_diagnostic_may_bring_its_own_source():
    found = Diagnostic("D1", "m", Span(0, 1), source=Source("--set", "x=1"))
    assert "--> --set:1:1\n 1 | x=1" in render(found, Source("a", "y"))
    assert to_json(found, Source("a", "y"))["file"] == "--set"


def test_color_adds_nothing_but_escapes():
    found = Diagnostic("D1", "m", Span(0, 1), help="h", severity="warning")
    source = Source("a", "x")
    plain = render(found, source)
    colored = render(found, source, color=True)
    assert "\x1b" not in plain
    assert colored.startswith("\x1b[1;33mwarning[D1]\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


def test_all_are_sorted_and_counted():
    source = Source("a", "x\ny\nz")
    found = [
        Diagnostic("D2", "second", Span(2, 3)),
        Diagnostic("D3", "third", Span(4, 5), severity="warning"),
        Diagnostic("D1", "first", Span(0, 1)),
    ]
    text = render_all(found, source)
    assert re.findall("first|second|third", text) == ["first", "second", "third"]
    assert text.endswith("\n\n2 errors, 1 warning")
    assert render_all([], source) == ""


def test_json():
    text = "mesh {\n  a = 1"
    source = Source("a.diamond", text)
    _, (found,) = parse(source)
    data = to_json(found, source)
    assert json.loads(json.dumps(data)) == data
    assert data == {
        "code": "D011",
        "severity": "error",
        "message": "`{` is never closed",
        "file": "a.diamond",
        "span": {
            "line": 2,
            "column": 8,
            "end_line": 2,
            "end_column": 8,
            "start": 14,
            "stop": 14,
        },
        "expected": "`}`",
        "help": None,
        "labels": [
            {
                "message": "opened here",
                "span": {
                    "line": 1,
                    "column": 6,
                    "end_line": 1,
                    "end_column": 7,
                    "start": 5,
                    "stop": 6,
                },
            }
        ],
    }


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(), max_size=40))
def test_any_text_can_be_shown(text):
    source = Source("a", text)
    _, problems = parse(source)
    shown = render_all(problems, source)
    shown.encode("utf-8")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", shown)


def test_codes_are_a_table():
    codes = [row.code for row in CODES]
    assert sorted(set(codes)) == sorted(codes)
    assert all(re.fullmatch(r"D\d{3}", code) for code in codes)
    assert all(row.title and row.explanation.endswith(".") for row in CODES)
