"""From the grammar's rules to the nodes of the syntax tree, as the parser reduces."""

from collections.abc import Sequence
from typing import Any

from lark import Token, Transformer

from diamond.dsl.numbers import read_number
from diamond.dsl.source import Span
from diamond.dsl.syntax import (
    AutoWord,
    Block,
    Boolean,
    CallNode,
    File,
    Include,
    Length,
    Let,
    LinkSetting,
    ListNode,
    Measured,
    Name,
    NamedValue,
    Number,
    ScheduleNode,
    Setting,
    ShardRule,
    StrategySetting,
    String,
    Value,
)

Child = Any
WORDS = {"true": True, "false": False}


def span_of(child: Child) -> Span:
    """Returns the place of a token or a node."""
    if isinstance(child, Token):
        assert child.start_pos is not None and child.end_pos is not None
        return Span(child.start_pos, child.end_pos)
    return child.span  # type: ignore[no-any-return]


def _cover(children: Sequence[Child]) -> Span:
    if not children:
        return Span(0, 0)
    return span_of(children[0]).to(span_of(children[-1]))


def _name(token: Token) -> Name:
    return Name(str(token), span_of(token))


def _nodes(children: Sequence[Child]) -> tuple[Child, ...]:
    return tuple(child for child in children if not isinstance(child, Token))


class TreeBuilder(Transformer[Token, File]):
    """One method a rule of `diamond.lark`; each takes all of the rule's tokens."""

    def file(self, children: list[Child]) -> File:
        """Builds the root; the name is that of the first `scheme` line."""
        nodes = _nodes(children)
        names = [node for node in nodes if isinstance(node, Name)]
        items = tuple(node for node in nodes if not isinstance(node, Name))
        return File(names[0] if names else None, items, _cover(children))

    def scheme(self, children: list[Child]) -> Name:
        """`scheme NAME`."""
        return _name(children[1])

    def let(self, children: list[Child]) -> Let:
        """`let NAME = value`."""
        return Let(_name(children[1]), children[3], _cover(children))

    def block(self, children: list[Child]) -> Block:
        """`WORD [NAME | over NAME] { statements }`."""
        types = [c.type if isinstance(c, Token) else "" for c in children]
        head = types.index("LBRACE")
        label = _name(children[1]) if head == 2 else None
        over = _name(children[2]) if head == 3 else None
        statements = _nodes(children[head:])
        return Block(_name(children[0]), label, over, statements, _cover(children))

    def setting(self, children: list[Child]) -> Setting:
        """`NAME = value`."""
        return Setting(_name(children[0]), children[2], _cover(children))

    def include(self, children: list[Child]) -> Include:
        """`include NAME`."""
        return Include(_name(children[1]), _cover(children))

    def link(self, children: list[Child]) -> LinkSetting:
        """`link NAME = value, value`."""
        return LinkSetting(_name(children[1]), _nodes(children[3:]), _cover(children))

    def strategy(self, children: list[Child]) -> StrategySetting:
        """`strategy over NAME`."""
        head = children[0]
        strategy = _name(head) if isinstance(head, Token) else head
        return StrategySetting(strategy, _name(children[2]), _cover(children))

    def shard(self, children: list[Child]) -> ShardRule:
        """`shard "pattern" (NAME, ...)`."""
        tokens = [child for child in children[3:] if isinstance(child, Token)]
        dims = tuple(_name(token) for token in tokens if token.type == "NAME")
        return ShardRule(children[1], dims, _cover(children))

    def schedule(self, children: list[Child]) -> ScheduleNode:
        """`X for N steps, then Y`."""
        phases = (*children[:-1], (children[-1], None))
        return ScheduleNode(phases, phases[0][0].span.to(children[-1].span))

    def phase(self, children: list[Child]) -> tuple[Value, Length]:
        """`X for N steps, then`."""
        return children[0], children[2]

    def measured(self, children: list[Child]) -> Measured:
        """`NAME unit`."""
        return Measured(_name(children[0]), _name(children[1]), _cover(children))

    def number(self, children: list[Child]) -> Number:
        """`NUMBER [unit]`; the parts of a unit are joined."""
        text = str(children[0])
        unit = "".join(children[1:]) or None
        return Number(read_number(text), unit, text, _cover(children))

    def string(self, children: list[Child]) -> String:
        """A string, whose backslashes stand for themselves."""
        return String(str(children[0])[1:-1], _cover(children))

    def name(self, children: list[Child]) -> Name | Boolean | AutoWord:
        """A name, or one of the words that are values."""
        word = _name(children[0])
        if word.text in WORDS:
            return Boolean(WORDS[word.text], word.span)
        return AutoWord(word.span) if word.text == "auto" else word

    def call(self, children: list[Child]) -> CallNode:
        """`NAME(arguments)`."""
        return CallNode(_name(children[0]), _nodes(children), _cover(children))

    def items(self, children: list[Child]) -> ListNode:
        """`[value, value]`."""
        return ListNode(_nodes(children), _cover(children))

    def argument(self, children: list[Child]) -> NamedValue:
        """`NAME = value` in parentheses."""
        return NamedValue(_name(children[0]), children[2], _cover(children))
