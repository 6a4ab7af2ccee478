"""Syntax trees to test with, texts in any layout for them, and their comparison."""

import dataclasses
from typing import Any

from hypothesis import strategies as st

from diamond.dsl.source import Span
from diamond.dsl.syntax import (
    AutoWord,
    Block,
    Boolean,
    CallNode,
    File,
    Include,
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
from diamond.dsl.unparse import header_of, key_of, phase_text, text_of

NOWHERE = Span(0, 0)
RESERVED = {"true", "false", "auto", "let", "scheme", "include", "link"}
RESERVED |= {"over", "for", "then"}


def shape(node: Any) -> Any:
    """Returns a node as nested tuples, without its places."""
    if dataclasses.is_dataclass(node):
        fields = dataclasses.fields(node)
        parts = [shape(getattr(node, f.name)) for f in fields if f.name != "span"]
        return (type(node).__name__, *parts)
    return tuple(map(shape, node)) if isinstance(node, tuple) else node


words = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
names = st.builds(Name, words.filter(lambda w: w not in RESERVED), st.just(NOWHERE))
units = st.sampled_from(["ms", "steps", "Gbit/s", "GiB", "%"])
literals = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.floats(allow_nan=False, allow_infinity=False, width=32).map(repr),
    st.sampled_from(["20_000", "10M", "1.5k", "3e-4", "0", "-1E+5"]),
)


@st.composite
def numbers(draw: st.DrawFn) -> Number:
    text = draw(literals)
    unit = draw(st.none() | units)
    return Number(0, unit, text, NOWHERE)


strings = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Zl", "Zp"]).filter(
        lambda c: c != '"'
    ),
    max_size=8,
).map(lambda text: String(text, NOWHERE))
booleans = st.booleans().map(lambda value: Boolean(value, NOWHERE))


measured = st.builds(Measured, names, names, st.just(NOWHERE))
lengths = st.one_of(numbers(), names, measured)


def calls(values: st.SearchStrategy[Any]) -> st.SearchStrategy[CallNode]:
    arguments = st.builds(NamedValue, names, values, st.just(NOWHERE))
    several = st.lists(arguments, max_size=3).map(tuple)
    return st.builds(CallNode, names, several, st.just(NOWHERE))


def lists(values: st.SearchStrategy[Any]) -> st.SearchStrategy[ListNode]:
    items = values.filter(lambda value: not isinstance(value, ScheduleNode))
    several = st.lists(items, max_size=3).map(tuple)
    return st.builds(ListNode, several, st.just(NOWHERE))


@st.composite
def schedules(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> ScheduleNode:
    inner = values.filter(lambda value: not isinstance(value, ScheduleNode))
    phases = draw(st.lists(st.tuples(inner, lengths), min_size=1, max_size=3))
    return ScheduleNode((*phases, (draw(inner), None)), NOWHERE)


atoms = st.one_of(numbers(), strings, booleans, names, st.just(AutoWord(NOWHERE)))
values = st.recursive(atoms, lambda v: calls(v) | lists(v) | schedules(v), max_leaves=6)
terms = values.filter(lambda value: not isinstance(value, ScheduleNode))

settings = st.builds(Setting, names, values, st.just(NOWHERE))
links = st.builds(
    LinkSetting,
    names,
    st.lists(terms, min_size=1, max_size=3).map(tuple),
    st.just(NOWHERE),
)
strategies = st.builds(StrategySetting, names | calls(values), names, st.just(NOWHERE))
includes = st.builds(Include, names, st.just(NOWHERE))
statements = st.one_of(settings, includes, links, strategies)


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    label, over = draw(
        st.one_of(
            st.just((None, None)),
            st.tuples(names, st.none()),
            st.tuples(st.none(), names),
        )
    )
    body = tuple(draw(st.lists(statements, max_size=4)))
    return Block(draw(names), label, over, body, NOWHERE)


lets = st.builds(Let, names, values, st.just(NOWHERE))
files = st.builds(
    File, st.none() | names, st.lists(blocks() | lets).map(tuple), st.just(NOWHERE)
)

comments = st.from_regex(r"#[ -~]{0,12}", fullmatch=True)
spaces = st.sampled_from(["", " ", "\t", "  "])


class Writer:
    """Writes a tree in a layout that hypothesis chooses."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.comments: list[str] = []

    def gap(self, *, lines: bool = False) -> str:
        """Space between tokens; with line breaks and comments where they may be."""
        parts = [self.draw(spaces)]
        for _ in range(self.draw(st.integers(0, 2)) if lines else 0):
            comment = self.draw(st.sampled_from(["", "", "c"])) and self.draw(comments)
            self.comments += [comment] if comment else []
            parts.append(comment + self.draw(st.sampled_from(["\n", "\r\n"])))
            parts.append(self.draw(spaces))
        return "".join(parts)

    def end(self) -> str:
        """The end of a statement."""
        if self.draw(st.booleans()):
            return self.gap() + ";" + self.gap(lines=True)
        return self.gap() + "\n" + self.gap(lines=True)

    def value(self, value: Any) -> str:
        if isinstance(value, CallNode):
            return self.call(value)
        if isinstance(value, ListNode):
            return self.items(value)
        if isinstance(value, ScheduleNode):
            phases = [
                self.value(v) + phase_text(v, length).removeprefix(text_of(v))
                for v, length in value.phases
            ]
            return self.after_commas(phases, "then")
        return text_of(value)

    def after_commas(self, parts: list[str], word: str = "") -> str:
        written = parts[0]
        for part in parts[1:]:
            written += f",{self.gap(lines=True)}{word}"
            written += f" {self.gap(lines=True)}{part}" if word else part
        return written

    def call(self, call: CallNode) -> str:
        arguments = [
            self.gap(lines=True)
            + a.name.text
            + self.gap(lines=True)
            + "="
            + self.gap(lines=True)
            + self.value(a.value)
            + self.gap(lines=True)
            for a in call.arguments
        ]
        comma = self.draw(st.sampled_from(["", ","])) if arguments else ""
        inner = ",".join(arguments) + comma + self.gap(lines=True)
        return f"{call.name.text}{self.gap()}({inner})"

    def items(self, node: ListNode) -> str:
        items = [
            self.gap(lines=True) + self.value(item) + self.gap(lines=True)
            for item in node.items
        ]
        comma = self.draw(st.sampled_from(["", ","])) if items else ""
        return f"[{','.join(items)}{comma}{self.gap(lines=True)}]"

    def statement(self, statement: Any) -> str:
        if isinstance(statement, Include):
            return key_of(statement)
        if isinstance(statement, StrategySetting):
            return f"{self.value(statement.strategy)} over {statement.axis.text}"
        if isinstance(statement, LinkSetting):
            inner = self.after_commas([self.value(v) for v in statement.values])
        else:
            inner = self.value(statement.value)
        return f"{key_of(statement)}{self.gap()}={self.gap()}{inner}"

    def item(self, item: Any) -> str:
        if isinstance(item, Let):
            return f"let {item.name.text}{self.gap()}={self.gap()}" + self.value(
                item.value
            )
        if self.draw(st.booleans()):
            body = "; ".join(self.statement(s) for s in item.statements)
        else:
            ended = (self.statement(s) + self.end() for s in item.statements)
            body = self.gap(lines=True) + "".join(ended)
        return f"{header_of(item)} {{{body}}}"

    def file(self, file: File) -> str:
        text = self.gap(lines=True)
        if file.name:
            text += f"scheme {file.name.text}{self.end()}"
        return text + "".join(self.item(item) + self.end() for item in file.items)


@st.composite
def texts(draw: st.DrawFn) -> tuple[str, File, list[str]]:
    """A text, the tree that it stands for, and the comments in it."""
    file = draw(files)
    writer = Writer(draw)
    text = writer.file(file)
    return text, file, [comment.rstrip() for comment in writer.comments]
