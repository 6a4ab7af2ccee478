import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond.dsl.codes import CODES
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.parser import parse
from diamond.dsl.source import Source, Span
from diamond.dsl.syntax import (
    AutoWord,
    Block,
    Boolean,
    CallNode,
    File,
    Let,
    LinkSetting,
    ListNode,
    Measured,
    Name,
    NamedValue,
    Number,
    ScheduleNode,
    Setting,
    StrategySetting,
    String,
)
from tests.dsl.trees import NOWHERE, shape, texts

SKETCH = """\
# Two sites over a thin wire.
scheme two_sites
let rate = 3e-4
model transformer { layers = 12; width = 1_024 }
data text {
  files = "corpus/*.txt" # all
}
hardware { link site = 1 Gbit/s, 30 ms }
parallelism {
  zero(stage = 3) over host
  tensor over chip
}
replicas over site {
  consistency = synchronous for 500 steps, then local(
    every = 50,
    outer = nesterov(momentum = auto),
  ) for n,
  then none for n steps, then

    # and then
    none
  compression = int4(feedback = true, exclude = ["a*",
    "b",])
}
"""


def read(text: str) -> tuple[File | None, tuple[Diagnostic, ...]]:
    return parse(Source("test", text))


def name(text: str) -> Name:
    return Name(text, NOWHERE)


def number(value: float, unit: str | None, text: str) -> Number:
    return Number(value, unit, text, NOWHERE)


def value_of(text: str) -> object:
    file, problems = read(f"let x = {text}")
    assert not problems
    assert file is not None and isinstance(file.items[0], Let)
    return file.items[0].value


def test_reads_the_whole_language():
    file, problems = read(SKETCH)
    assert not problems

    def setting(key, value):
        return Setting(name(key), value, NOWHERE)

    def block(word, label, over, *statements):
        return Block(name(word), label, over, statements, NOWHERE)

    def call(word, **arguments):
        pairs = tuple(NamedValue(name(k), v, NOWHERE) for k, v in arguments.items())
        return CallNode(name(word), pairs, NOWHERE)

    local = call(
        "local",
        every=number(50, None, "50"),
        outer=call("nesterov", momentum=AutoWord(NOWHERE)),
    )
    schedule = ScheduleNode(
        (
            (name("synchronous"), number(500, "steps", "500")),
            (local, name("n")),
            (name("none"), Measured(name("n"), name("steps"), NOWHERE)),
            (name("none"), None),
        ),
        NOWHERE,
    )
    strings = (String("a*", NOWHERE), String("b", NOWHERE))
    feedback = Boolean(True, NOWHERE)
    codec = call("int4", feedback=feedback, exclude=ListNode(strings, NOWHERE))
    zero = call("zero", stage=number(3, None, "3"))
    link = (number(1, "Gbit/s", "1"), number(30, "ms", "30"))
    expected = File(
        name("two_sites"),
        (
            Let(name("rate"), number(3e-4, None, "3e-4"), NOWHERE),
            block(
                "model",
                name("transformer"),
                None,
                setting("layers", number(12, None, "12")),
                setting("width", number(1024, None, "1_024")),
            ),
            block(
                "data",
                name("text"),
                None,
                setting("files", String("corpus/*.txt", NOWHERE)),
            ),
            block("hardware", None, None, LinkSetting(name("site"), link, NOWHERE)),
            block(
                "parallelism",
                None,
                None,
                StrategySetting(zero, name("host"), NOWHERE),
                StrategySetting(name("tensor"), name("chip"), NOWHERE),
            ),
            block(
                "replicas",
                None,
                name("site"),
                setting("consistency", schedule),
                setting("compression", codec),
            ),
        ),
        NOWHERE,
    )
    assert shape(file) == shape(expected)


def test_every_node_has_its_place():
    text = "let x = f(a = 1 ms) for 3 steps, then “”"
    file, _ = read(text.replace("“”", '""'))
    assert file is not None and isinstance(file.items[0], Let)
    let = file.items[0]
    assert isinstance(let.value, ScheduleNode)
    call, length = let.value.phases[0]
    assert isinstance(call, CallNode) and isinstance(length, Number)
    argument = call.arguments[0]
    places = [let, let.name, let.value, call, call.name, argument, argument.value]
    spans = [text[p.span.start : p.span.stop] for p in (*places, length)]
    assert spans == [
        text,
        "x",
        "f(a = 1 ms) for 3 steps, then “”",
        "f(a = 1 ms)",
        "f",
        "a = 1 ms",
        "1 ms",
        "3 steps",
    ]


@settings(max_examples=60, deadline=None)
@given(texts())
def test_reads_every_layout_of_a_tree(drawn):
    text, tree, _ = drawn
    file, problems = read(text)
    assert not problems
    assert _without_values(shape(file)) == _without_values(shape(tree))


def _without_values(node):
    """Leaves out the values of numbers, which the drawn trees do not have."""
    if isinstance(node, tuple) and node and node[0] == "Number":
        return node[2:]
    return tuple(map(_without_values, node)) if isinstance(node, tuple) else node


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("20_000", 20_000),
        ("10M", 10_000_000),
        ("3k", 3000),
        ("2G", 2 * 10**9),
        ("1T", 10**12),
        ("1.5M", 1.5e6),
        ("-7", -7),
        ("3e-4", 3e-4),
        ("1E+5", 1e5),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("007", 7),
        ("0e0", 0.0),
    ],
)
def test_numbers(text, value):
    node = value_of(text)
    assert isinstance(node, Number)
    assert node.value == value
    assert type(node.value) is type(value)
    assert (node.text, node.unit) == (text, None)


@pytest.mark.parametrize("unit", ["ms", "Gbit/s", "%", "steps", "GiB", "for_"])
def test_units(unit):
    node = value_of(f"5 {unit}")
    assert isinstance(node, Number)
    assert (node.value, node.unit) == (5, unit)


def test_keywords_are_names_where_no_keyword_may_stand():
    file, problems = read("scheme for\nlet over = then\nover over over {\nlet = 3\n}")
    assert not problems
    assert file is not None and file.name is not None
    let, block = file.items
    assert isinstance(let, Let) and isinstance(block, Block)
    assert (file.name.text, let.name.text) == ("for", "over")
    assert shape(let.value) == ("Name", "then")
    assert (block.word.text, shape(block.over)) == ("over", ("Name", "over"))
    assert shape(block.statements[0])[1] == ("Name", "let")


@pytest.mark.parametrize("text", ["", "\ufeff", "# only", "\r\n;\n", " \t"])
def test_an_empty_file_is_empty(text):
    file, problems = read(text)
    assert not problems
    assert shape(file) == ("File", None, ())


def test_line_breaks_of_windows_and_the_mark_of_byte_order():
    text = SKETCH.replace("\n", "\r\n")
    assert shape(read("\ufeff" + text)[0]) == shape(read(SKETCH)[0])


GOLDEN = (Path(__file__).parent / "syntax_errors.txt").read_text(encoding="utf-8")
ERRORS = [case.splitlines() for case in GOLDEN.strip().split("\n\n")]


def unescaped(text: str) -> str:
    return re.sub(
        r"\\(?:[nr]|x..|u....)",
        lambda m: m[0].encode().decode("unicode_escape", "surrogatepass"),
        text,
    )


@pytest.mark.parametrize("case", ERRORS, ids=lambda case: case[0][2:])
def test_one_error(case):
    text = unescaped(case[0].removeprefix("> "))
    _, problems = read(text)
    assert len(problems) == 1
    found = problems[0]
    assert found.span is not None
    marked = text[found.span.start : found.span.stop]
    lines = [f"{found.code} at `{marked}`", found.message]
    lines += [f"expected {found.expected}"] if found.expected else []
    lines += [f"help: {found.help}"] if found.help else []
    assert lines == [unescaped(line) for line in case[1:]]


def test_an_unclosed_bracket_shows_where_it_was_opened():
    text = "m {\n  x = f(a = 1\n  y = 2\n\nn { z = 3 }\n"
    _, (parenthesis, brace) = read(text)
    assert text[: parenthesis.span.start].endswith("a = 1")
    assert parenthesis.labels[0].span == Span(11, 12)
    assert text[brace.span.start :].startswith("n { z = 3 }")
    assert brace.labels[0].span == Span(2, 3)
    assert brace.labels[0].message == "opened here"


def test_a_parenthesis_and_a_brace_may_both_be_unclosed():
    _, problems = read("m { x = f(a = 1")
    assert [found.message for found in problems] == [
        "`(` is never closed",
        "`{` is never closed",
    ]


def test_every_forbidden_character_is_reported():
    assert [found.span for found in read("#\0\0\n\x1b")[1]] == [
        Span(1, 2),
        Span(2, 3),
        Span(4, 5),
    ]


def test_goes_on_after_each_error_and_keeps_the_rest():
    text = """\
scheme ok
let = 3
let good = 4
mesh: {
  site 2
  host = 2
}
train {
  optimizer = adamw(lr 3e-4)
  steps = 100 200
  loss = cross_entropy
}
replicas over {
  compression = none,
  consistency = synchronous for 5 steps
}
"""
    file, problems = read(text)
    lines = [text.count("\n", 0, found.span.start) + 1 for found in problems]
    assert lines == [2, 4, 5, 9, 10, 13, 14, 15]
    assert file is not None
    kept = [
        (item.word.text, [s.name.text for s in item.statements])
        for item in file.items
        if isinstance(item, Block)
    ]
    assert kept == [
        ("mesh", ["host"]),
        ("train", ["steps", "loss"]),
        ("replicas", ["compression"]),
    ]
    assert [i.name.text for i in file.items if isinstance(i, Let)] == ["good"]


def test_stops_at_a_hundred_errors():
    file, problems = read("let = 1\n" * 500)
    assert file is None
    assert [found.code for found in problems] == ["D010"] * 100 + ["D017"]
    assert problems[-1].span is not None


LIMITS = {
    "bytes": ("é" * (2**19 + 1), "D002"),
    "tokens": ("let x = 1\n" * 20_001, "D015"),
    "depth": ("let x = " + "f(a = " * 65 + "1" + ")" * 65, "D016"),
    "braces": ("a {\n" * 65, "D016"),
    "digits": ("let x = " + "9" * 10**6, "D008"),
    "fraction": ("let x = 0." + "9" * 10**6, "D008"),
    "exponent": ("let x = 1e" + "9" * 10**6, "D008"),
    "junk number": ("let x = 1" + "x9" * 500_000, "D007"),
    "junk name": ("let " + "a-" * 60 + "a = 1", "D009"),
    "unknown": ("?" * 10_000, "D005"),
    "control": ("\0" * 2**20, "D004"),
    "open": ("let x = " + "(" * 10**6, "D015"),
    "closers": ("}" * 10_000, "D012"),
    "arguments": ("m { x = f(" + "a = 1, " * 20_000 + "= )}", "D010"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_limits(limit):
    text, code = LIMITS[limit]
    _, problems = read(text)
    assert problems[0].code == code
    assert len(problems) <= 101


def test_just_within_the_limits():
    nested = "let x = " + "f(a = " * 64 + "1" + ")" * 64
    for text in (nested, "let x = 1\n" * 20_000, "#" * 2**20):
        file, problems = read(text)
        assert file is not None
        assert not problems


PIECES = [
    *"{}()=,;#\"'/%-.:?",
    *("\n", "\r\n", "\r", " ", "\t", "\0", "\u202e", "\ufeff", "\ud800", "é", "字"),
    *("let", "scheme", "link", "over", "for", "then", "auto", "true", "x", "y"),
    *("1", "1e400", "30 ms", "30ms", "0x1", ' "a" ', "“a”", "f(", "a = ", "# c\n"),
    *("b = 2\n", "x over y\n", "a for 3 steps, then b", "replicas over site {\n"),
    *(" for n steps", ", then", ", then\n", "hardware {", "x = 1, 2"),
]


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(
        st.lists(st.sampled_from(PIECES), max_size=40).map("".join),
        st.text(st.characters(), max_size=60),
        st.binary(max_size=60).map(lambda data: data.decode("latin-1")),
    )
)
def test_any_text_is_a_tree_or_has_errors_with_places(text):
    check_any(text)


def test_damaged_texts_are_trees_or_have_errors_with_places():
    random.seed(7)
    for _ in range(300):
        letters = list(SKETCH)
        for _ in range(random.randint(1, 6)):
            place = random.randrange(len(letters))
            width = random.choice([0, 0, 1, 1, 2, 20])
            letters[place : place + width] = random.choice([*PIECES, "", ""])
        check_any("".join(letters))


def check_any(text: str) -> None:
    file, problems = read(text)
    assert file is not None or problems
    codes = {row.code for row in CODES}
    for found in problems:
        assert found.code in codes
        assert found.span is not None
        assert 0 <= found.span.start <= found.span.stop <= len(text)
        words = f"{found.message} {found.expected} {found.help}"
        assert not any(kind in words for kind in ("LBRACE", "RPAR", "$END", "Token"))
