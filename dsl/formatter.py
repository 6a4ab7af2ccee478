"""The formatter: one canonical layout, with comments and blank lines kept."""

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from diamond.dsl.alignment import key_widths
from diamond.dsl.build_tree import span_of
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.parser import parse
from diamond.dsl.source import Source, Span
from diamond.dsl.syntax import (
    Block,
    CallNode,
    File,
    Include,
    Let,
    LinkSetting,
    ListNode,
    NamedValue,
    ScheduleNode,
    ShardRule,
    Statement,
    StrategySetting,
    Value,
)
from diamond.dsl.tokens import lex
from diamond.dsl.unparse import block_text, header_of, key_of, rest_of, text_of

WIDTH = 88
INDENT = 2


def format_text(source: Source) -> str:
    """Returns the text of a scheme in canonical layout.

    Raises:
        SchemeError: If the text has syntax errors; they are carried along.

    Example:
        >>> print(format_text(Source("a.diamond", "mesh{site=2;host=4}")), end="")
        mesh { site = 2; host = 4 }
    """
    file, problems = parse(source)
    if file is None or problems:
        raise SchemeError(problems, source)
    lines = _Layout(source).file(file)
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True, slots=True)
class _Child:
    """A node laid out; the comments within `owned` are in its lines already."""

    span: Span
    owned: tuple[Span, ...]
    lines: list[str]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Lines of output, and the lines of the source that they stand for."""

    first: int
    last: int
    lines: list[str]
    attaches: bool = False


class _Layout:
    """Lays the nodes of one source out as lines, each with its indentation.

    A comment on the line of what stands before it stays there; any other has a line
    of its own. A call or a list that has a comment within is broken over several lines;
    a comment in any other place of a statement is put above it.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        comments = [token for token in lex(source) if token.type == "COMMENT"]
        self.starts = [span_of(token).start for token in comments]
        self.texts = [token.rstrip() for token in comments]

    def file(self, file: File) -> list[str]:
        """Lays out a whole file."""
        children = []
        if file.name:
            line = f"scheme {file.name.text}"
            children.append(_Child(file.name.span, (), [line]))
        children += [self.item(item) for item in file.items]
        whole = Span(0, len(self.source.text))
        return _stacked([], 0, self.pieces(children, whole, 0))

    def item(self, item: Let | Block) -> _Child:
        """Lays out a constant or a block."""
        if isinstance(item, Let):
            lines = self.headed(f"let {item.name.text} = ", item.value, 0, 0)
            return _Child(item.span, _bracketed(item.value), lines)
        first, last = self.lines_of(item.span)
        text = block_text(item)
        bare = not item.statements and not self.comments(item.span)
        if bare or (first == last and len(text) <= WIDTH):
            return _Child(item.span, (item.span,), [text])
        return _Child(item.span, (item.span,), self.block(item))

    def block(self, block: Block) -> list[str]:
        """Lays out a block over several lines."""
        gaps = [
            self.has_blank(before.span.stop, after.span.start)
            for before, after in zip(
                block.statements[:-1], block.statements[1:], strict=True
            )
        ]
        widths = key_widths(block.statements, gaps)
        children = [
            self.statement(statement, width)
            for statement, width in zip(block.statements, widths, strict=True)
        ]
        pieces = self.pieces(children, block.span, INDENT)
        head = [f"{header_of(block)} {{"]
        return [*_stacked(head, self.line_at(block.span.start), pieces), "}"]

    def statement(self, statement: Statement, width: int) -> _Child:
        """Lays out a statement of a block, its key padded to a width."""
        margin = " " * INDENT
        key = f"{margin}{key_of(statement):<{width}}"
        match statement:
            case StrategySetting():
                over = f" over {statement.axis.text}"
                lines = self.value(statement.strategy, INDENT, INDENT, len(over))
                lines[0] = margin + lines[0]
                lines = [key] if len(lines) == 1 else lines
                lines[-1] += over
                owned = _bracketed(statement.strategy)
            case Include():
                lines, owned = [key.rstrip()], ()
            case ShardRule():
                lines, owned = [f"{key} {rest_of(statement)}"], ()
            case LinkSetting():
                lines = self.values(f"{key} = ", statement.values)
                owned = tuple(
                    c for value in statement.values for c in _bracketed(value)
                )
            case _:
                lines = self.headed(f"{key} = ", statement.value, INDENT, 0)
                owned = _bracketed(statement.value)
        return _Child(statement.span, owned, lines)

    def values(self, head: str, values: Sequence[Value]) -> list[str]:
        """Lays out values with commas between them after a head."""
        lines = [head]
        for place, value in enumerate(values):
            more = int(place < len(values) - 1)
            head = lines.pop()
            lines += self.headed(head, value, INDENT, more)
            lines[-1] += ", " if more else ""
        return lines

    def headed(self, head: str, value: Value, indent: int, tail: int) -> list[str]:
        """Lays out a value after a head that is indented already."""
        lines = self.value(value, indent, len(head), tail)
        return [head + lines[0], *lines[1:]]

    def value(self, value: Value, indent: int, column: int, tail: int) -> list[str]:
        """Lays out a value.

        Args:
            value: The value.
            indent: The indentation of the statement that it is part of.
            column: Where its first line starts; that line is not indented here.
            tail: How many columns are needed behind its last line.
        """
        text = text_of(value)
        commented = any(self.comments(span) for span in _bracketed(value))
        if not commented and column + len(text) + tail <= WIDTH:
            return [text]
        match value:
            case ScheduleNode():
                return self.schedule(value, indent, column, tail)
            case CallNode() if commented or value.arguments:
                return self.call(value, indent)
            case ListNode() if commented or value.items:
                return self.items(value, indent)
        return [text]

    def schedule(
        self, schedule: ScheduleNode, indent: int, column: int, tail: int
    ) -> list[str]:
        """Lays out a schedule, a line or more a phase."""
        lines: list[str] = []
        for value, length in schedule.phases:
            rest = f" for {text_of(length)}," if length else ""
            room = len(rest) or tail
            if lines:
                head = " " * (indent + INDENT) + "then "
                lines += self.headed(head, value, indent + INDENT, room)
            else:
                lines += self.value(value, indent, column, room)
            lines[-1] += rest
        return lines

    def call(self, call: CallNode, indent: int) -> list[str]:
        """Lays out a call over several lines, an argument or more a line."""
        inner = indent + INDENT
        children = [self.argument(argument, inner) for argument in call.arguments]
        pieces = self.pieces(children, call.span, inner)
        head = [f"{call.name.text}("]
        lines = _stacked(head, self.line_at(call.span.start), pieces)
        return [*lines, f"{' ' * indent})"]

    def items(self, items: ListNode, indent: int) -> list[str]:
        """Lays out a list over several lines, an item or more a line."""
        inner = indent + INDENT
        children = [self.item_of_list(item, inner) for item in items.items]
        pieces = self.pieces(children, items.span, inner)
        lines = _stacked(["["], self.line_at(items.span.start), pieces)
        return [*lines, f"{' ' * indent}]"]

    def item_of_list(self, item: Value, indent: int) -> _Child:
        """Lays out an item with the comma behind it."""
        lines = self.headed(" " * indent, item, indent, 1)
        lines[-1] += ","
        return _Child(item.span, _bracketed(item), lines)

    def argument(self, argument: NamedValue, indent: int) -> _Child:
        """Lays out an argument with the comma behind it."""
        head = f"{' ' * indent}{argument.name.text} = "
        lines = self.headed(head, argument.value, indent, 1)
        lines[-1] += ","
        return _Child(argument.span, _bracketed(argument.value), lines)

    def pieces(
        self, children: Sequence[_Child], region: Span, indent: int
    ) -> Iterator[_Piece]:
        """Yields children with the comments around them, in order."""
        at = region.start
        for child in children:
            yield from self.comment_pieces(Span(at, child.span.start), indent)
            first, last = self.lines_of(child.span)
            raised = self.loose_comments(child, indent)
            yield from (_Piece(first, first, [line]) for line in raised)
            yield _Piece(first, last, child.lines)
            at = child.span.stop
        yield from self.comment_pieces(Span(at, region.stop), indent)

    def comment_pieces(self, span: Span, indent: int) -> Iterator[_Piece]:
        """Yields the comments of a span."""
        for place in self.comments(span):
            line = self.line_at(self.starts[place])
            text = " " * indent + self.texts[place]
            yield _Piece(line, line, [text], attaches=True)

    def loose_comments(self, child: _Child, indent: int) -> list[str]:
        """Returns the comments within a child that its lines do not have."""
        owned = {place for span in child.owned for place in self.comments(span)}
        places = (place for place in self.comments(child.span) if place not in owned)
        return [" " * indent + self.texts[place] for place in places]

    def comments(self, span: Span) -> range:
        """Returns which comments start in a span."""
        first = bisect.bisect_left(self.starts, span.start)
        return range(first, bisect.bisect_left(self.starts, span.stop))

    def has_blank(self, start: int, stop: int) -> bool:
        """Says whether there is a blank line between two places."""
        first, last = self.lines_of(Span(start, stop))
        own = {self.line_at(self.starts[p]) for p in self.comments(Span(start, stop))}
        return last - first - 1 > len(own - {first})

    def line_at(self, offset: int) -> int:
        """Returns the number of the line of an offset."""
        return self.source.place(offset)[0]

    def lines_of(self, span: Span) -> tuple[int, int]:
        """Returns the numbers of the first and the last line of a span."""
        return self.line_at(span.start), self.line_at(span.stop)


def _bracketed(value: Value) -> tuple[Span, ...]:
    """Returns the spans of the outermost calls and lists of a value."""
    match value:
        case CallNode() | ListNode():
            return (value.span,)
        case ScheduleNode():
            return tuple(c for phase, _ in value.phases for c in _bracketed(phase))
    return ()


def _stacked(head: list[str], line: int, pieces: Iterator[_Piece]) -> list[str]:
    """Puts pieces below a head that stands on a line of the source.

    A comment that attaches and stands on the line of what came before is appended to
    it. Blank lines become one, and none follows the head.
    """
    lines, may_attach = head, bool(head)
    for place, piece in enumerate(pieces):
        if may_attach and piece.attaches and piece.first == line:
            lines[-1] += f"  {piece.lines[0].lstrip()}"
            may_attach = False
        else:
            blank = place > 0 and piece.first - line > 1
            lines += [*([""] if blank else []), *piece.lines]
            may_attach = not piece.attaches
        line = piece.last
    return lines
