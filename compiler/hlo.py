"""Reading collectives out of compiled HLO text."""

import re
from typing import NamedTuple

import numpy as np

from diamond.compiler.plan import Message

_KINDS = "all-reduce|all-gather|all-to-all|reduce-scatter|collective-permute"
_LINE = re.compile(rf"= (?P<result>.*?) (?P<kind>{_KINDS})(?P<start>-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+[0-9]+[a-z0-9]*|pred)\[([0-9,]*)\]")
_LISTED = re.compile(r"replica_groups=\{(\{[0-9,]*\}(?:,\{[0-9,]*\})*)?\}")
_IOTA = re.compile(r"replica_groups=\[([0-9,]+)\]<=\[([0-9,]+)\](?:T\(([0-9,]+)\))?")
_NAMED = re.compile(r"replica_groups=mesh\[[^\]]*\]\s*\{([^}]*)\}")
_SCOPE = re.compile(r"diamond:([^/\"]+)")

Groups = frozenset[frozenset[int]]


class Collective(NamedTuple):
    """A collective of a compiled program.

    Attributes:
        exchange: Name of the exchange whose scope it was traced in, or None.
        axes: Mesh axes it crosses, outermost first.
        messages: What one device puts in: one message an element type.
        line: The line of HLO.
    """

    exchange: str | None
    axes: tuple[str, ...]
    messages: tuple[Message, ...]
    line: str


def collectives_of(text: str, axes: dict[str, int]) -> tuple[Collective, ...]:
    """Reads the collectives of a compiled module that cross from device to device.

    Args:
        text: The module's text.
        axes: Sizes of the mesh axes, outermost first.
    """
    found = (_read(line, axes) for line in text.splitlines())
    return tuple(each for each in found if each is not None and each.axes)


def _read(line: str, axes: dict[str, int]) -> Collective | None:
    match = _LINE.search(line)
    if match is None:
        return None
    crossed = _axes_crossed(line, axes)
    size = int(np.prod([axes[name] for name in crossed], dtype=int))
    kind = match["kind"]
    messages = tuple(
        Message(kind, dtype, elements)  # type: ignore[arg-type]
        for dtype, elements in _operands(kind, match, size)
    )
    scope = _SCOPE.search(line)
    return Collective(scope[1] if scope else None, crossed, messages, line.strip())


def _operands(kind: str, match: re.Match[str], size: int) -> list[tuple[str, int]]:
    """Returns element type and elements of the operands, read off the result."""
    arrays = []
    for dtype, dims in _ARRAY.findall(match["result"]):
        sizes = [int(dim) for dim in dims.split(",") if dim]
        arrays.append((dtype, int(np.prod(sizes, dtype=int))))
    if match["start"] and kind != "all-reduce":
        arrays = arrays[len(arrays) // 2 :]
    if kind == "all-gather":
        return [(dtype, elements // size) for dtype, elements in arrays]
    if kind == "reduce-scatter":
        return [(dtype, elements * size) for dtype, elements in arrays]
    return arrays


def _axes_crossed(line: str, axes: dict[str, int]) -> tuple[str, ...]:
    """Returns the mesh axes whose members talk in a collective."""
    named = _NAMED.search(line)
    if named:
        words = re.findall(r"'([^']+)'", named[1])
        return tuple(name for name in axes if name in words and axes[name] > 1)
    groups = _groups(line, int(np.prod(list(axes.values()), dtype=int)))
    sizes = tuple(axes.values())
    crossed: set[int] = set()
    for group in groups:
        places = np.array([np.unravel_index(member, sizes) for member in group])
        crossed |= {dim for dim in range(len(sizes)) if len(set(places[:, dim])) > 1}
    return tuple(name for dim, name in enumerate(axes) if dim in crossed)


def _groups(line: str, devices: int) -> Groups:
    iota = _IOTA.search(line)
    if iota:
        shape, source = _ints(iota[1]), _ints(iota[2])
        ids = np.arange(int(np.prod(source))).reshape(source)
        ids = ids.transpose(_ints(iota[3])) if iota[3] else ids
        return frozenset(frozenset(map(int, row)) for row in ids.reshape(shape))
    listed = _LISTED.search(line)
    pairs = re.search(r"source_target_pairs=\{(.*?)\}\}", line)
    text = (listed and listed[1]) or (pairs and pairs[1] + "}") or ""
    rows = re.findall(r"\{([0-9,]+)\}", text)
    if not rows:
        return frozenset([frozenset(range(devices))])
    return frozenset(frozenset(_ints(row)) for row in rows)


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
