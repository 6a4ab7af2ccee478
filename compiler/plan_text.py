"""A plan as stable text and back.

A node is one line, `word field=value ...` with values in JSON, and its parts stand
indented below it:

    plan name="tiny" steps=10 batch=8
      axis name="host" size=2 loose=false
      exchange name="host.gradients" subject="gradients" every=1 agreement=0
        message kind="all-reduce" dtype="f32" elements=10
"""

import json
from typing import Any

from diamond.compiler.plan import Plan
from diamond.compiler.plan_json import plan_from_data, plan_to_data

_WORDS = {
    "axes": "axis",
    "tensors": "tensor",
    "optimizer_tensors": "optimizer_tensor",
    "flows": "flow",
    "agreements": "agreement",
    "exchanges": "exchange",
    "messages": "message",
    "memory": "holding",
    "equations": "equation",
}
_FIELDS = {word: field for field, word in _WORDS.items()}


def print_plan(plan: Plan) -> str:
    """Returns a plan's text; equal plans have equal texts.

    Example:
        >>> print(print_plan(Plan("tiny", 10, 8, "fp32", "sgd(lr = 1)")))
        plan name="tiny" steps=10 batch=8 precision="fp32" ...
    """
    return "\n".join(_lines("plan", plan_to_data(plan), 0)) + "\n"


def read_plan(text: str) -> Plan:
    """Reads a plan back from its text.

    Raises:
        ValueError: If the text is not a plan's, with the number of the line.
    """
    root: dict[str, Any] = {}
    stack: list[tuple[int, dict[str, Any]]] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        word, data = _read_line(line.strip(), number)
        del stack[depth:]
        if not stack and word == "plan":
            root = data
        elif len(stack) == depth > 0 and word in _FIELDS:
            item = data["text"] if word == "equation" else data
            stack[-1][1][_FIELDS[word]].append(item)
        else:
            raise ValueError(f"line {number}: `{word}` cannot stand here")
        stack.append((depth, data))
    return plan_from_data(root)


def _lines(word: str, data: dict[str, Any], depth: int) -> list[str]:
    own = {name: item for name, item in data.items() if name not in _WORDS}
    fields = [f"{name}={json.dumps(item)}" for name, item in own.items()]
    lines = ["  " * depth + " ".join([word, *fields])]
    for name in (name for name in data if name in _WORDS):
        for item in data[name]:
            part = item if isinstance(item, dict) else {"text": item}
            lines += _lines(_WORDS[name], part, depth + 1)
    return lines


def _read_line(line: str, number: int) -> tuple[str, dict[str, Any]]:
    word, _, rest = line.partition(" ")
    data: dict[str, Any] = {field: [] for field in _PARTS.get(word, ())}
    decoder = json.JSONDecoder()
    while rest:
        name, _, rest = rest.partition("=")
        try:
            data[name], end = decoder.raw_decode(rest)
        except json.JSONDecodeError as error:
            raise ValueError(f"line {number}: `{name}` has no value") from error
        rest = rest[end:].lstrip()
    return word, data


_PARTS = {
    "plan": (
        "axes",
        "tensors",
        "optimizer_tensors",
        "flows",
        "agreements",
        "exchanges",
        "memory",
        "equations",
    ),
    "flow": ("messages",),
    "exchange": ("messages",),
}
