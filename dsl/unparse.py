"""Nodes of the syntax tree as text on one line, in canonical form."""

from diamond.dsl.syntax import (
    AutoWord,
    Block,
    Boolean,
    CallNode,
    Include,
    Length,
    LinkSetting,
    ListNode,
    Measured,
    Name,
    Number,
    ScheduleNode,
    Setting,
    ShardRule,
    Statement,
    StrategySetting,
    String,
    Value,
)


def text_of(value: Value | Length) -> str:
    """Returns a value as it is written in a scheme.

    Example:
        >>> from diamond.dsl.source import Span
        >>> text_of(Number(30, "ms", "30", Span(0, 5)))
        '30 ms'
    """
    match value:
        case Name():
            return value.text
        case Number():
            return f"{value.text} {value.unit}" if value.unit else value.text
        case Measured():
            return f"{value.name.text} {value.unit.text}"
        case String():
            return f'"{value.value}"'
        case Boolean():
            return "true" if value.value else "false"
        case AutoWord():
            return "auto"
        case CallNode():
            arguments = (f"{a.name.text} = {text_of(a.value)}" for a in value.arguments)
            return f"{value.name.text}({', '.join(arguments)})"
        case ListNode():
            return f"[{', '.join(text_of(item) for item in value.items)}]"
        case ScheduleNode():
            return ", then ".join(phase_text(*phase) for phase in value.phases)


def phase_text(value: Value, length: Length | None) -> str:
    """Returns a phase of a schedule, without the `, then` after it."""
    return text_of(value) + (f" for {text_of(length)}" if length else "")


def key_of(statement: Statement) -> str:
    """Returns what stands before the `=` or the `over` of a statement, or all of it."""
    match statement:
        case Setting():
            return statement.name.text
        case Include():
            return f"include {statement.name.text}"
        case LinkSetting():
            return f"link {statement.axis.text}"
        case StrategySetting():
            return text_of(statement.strategy)
        case ShardRule():
            return f"shard {text_of(statement.pattern)}"


def rest_of(statement: Statement) -> str:
    """Returns the `=` or the `over` of a statement, and what follows."""
    match statement:
        case Include():
            return ""
        case Setting():
            return f"= {text_of(statement.value)}"
        case LinkSetting():
            return f"= {', '.join(text_of(value) for value in statement.values)}"
        case StrategySetting():
            return f"over {statement.axis.text}"
        case ShardRule():
            return f"({', '.join(name.text for name in statement.dims)})"


def header_of(block: Block) -> str:
    """Returns the words of a block before its `{`."""
    label = f" {block.label.text}" if block.label else ""
    over = f" over {block.over.text}" if block.over else ""
    return f"{block.word.text}{label}{over}"


def block_text(block: Block) -> str:
    """Returns a block on one line."""
    statements = (f"{key_of(s)} {rest_of(s)}".rstrip() for s in block.statements)
    inner = "; ".join(statements)
    return f"{header_of(block)} {{ {inner} }}" if inner else f"{header_of(block)} {{ }}"
