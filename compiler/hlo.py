"""Reading collectives out of compiled HLO text.

What is not understood is never passed over: a collective of a kind that no plan has,
one whose groups are not those of whole mesh axes, or one in a loop of unknown length or
in a branch of which its name does not say who takes it, comes out with a mark that
makes the certificate fail.
"""

import itertools
import re
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from diamond.compiler.plan import Message, Pairs
from diamond.compiler.scopes import name_in, turns_in

_KINDS = (
    "all-reduce|all-gather|ragged-all-to-all|all-to-all|reduce-scatter"
    "|collective-permute|collective-broadcast|send|recv|infeed|outfeed"
)
_LINE = re.compile(rf"= (?P<result>.*?) (?P<kind>{_KINDS})(?P<start>-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+[0-9]+[a-z0-9]*|pred)\[([0-9,]*)\]")
_LISTED = re.compile(r"replica_groups=\{(\{[0-9,]*\}(?:,\{[0-9,]*\})*)?\}")
_IOTA = re.compile(r"replica_groups=\[([0-9,]+)\]<=\[([0-9,]+)\](?:T\(([0-9,]+)\))?")
_PAIRS = re.compile(r"source_target_pairs=\{((?:\{[0-9,]*\},?)*)\}")
_NAMED = re.compile(r"replica_groups=mesh\[([^\]]*)\]\s*\{([^}]*)\}")
_AXES = re.compile(r"\s*'[^']+'(\s*,\s*'[^']+')*\s*")
_SIZES = re.compile(r"\s*'[^']+'=[0-9]+(\s*,\s*'[^']+'=[0-9]+)*\s*")
_SIZE = re.compile(r"'([^']+)'=([0-9]+)")
_COMPUTATION = re.compile(r"^(?:ENTRY )?%?(?P<name>[\w.\-]+) \(.*\{$")
_CALLED = re.compile(r"(\w+)=\{?(%[\w.\-]+(?:, ?%[\w.\-]+)*)\}?")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"([0-9]+)"')
_BRANCHES = {"branch_computations", "true_computation", "false_computation"}
_REPEATS = {"body", "condition"}

Groups = frozenset[frozenset[int]]


class _Call(NamedTuple):
    """A call of a computation: by which, how often, and whether as a branch."""

    caller: str
    turns: int | None
    is_branch: bool


Callers = dict[str, list[_Call]]


class Collective(NamedTuple):
    """A collective of a compiled program.

    Attributes:
        exchange: Name of the exchange whose scope it was traced in, or None.
        axes: Mesh axes it crosses, outermost first; `part of` them where a group is
            not a whole one, `a loop over` them where nobody knows how often.
        messages: What one device puts in: one message an element type; of a permute
            with the pairs, as places along the axes that it crosses.
        line: The line of HLO.
        times: How often it happens in one run of the module, or is come by where it
            stands in a branch.
        turns: At which part of these times each stage of a pipeline does it, where it
            stands in a branch.
    """

    exchange: str | None
    axes: tuple[str, ...]
    messages: tuple[Message, ...]
    line: str
    times: int = 1
    turns: tuple[Fraction, ...] = ()


def collectives_of(text: str, axes: dict[str, int]) -> tuple[Collective, ...]:
    """Reads the collectives of a compiled module that cross from device to device.

    Args:
        text: The module's text.
        axes: Sizes of the mesh axes, outermost first.
    """
    found: list[Collective] = []
    computations = _computations(text)
    callers = _callers(computations)
    for name, lines in computations.items():
        inside = [each for line in lines if (each := _read(line, axes)) is not None]
        times, is_branch = _runs(name, callers), _is_branch(name, callers)
        inside = [_placed(each, times, is_branch) for each in inside]
        found += [each for each in inside if each.axes]
    return tuple(found)


def _placed(collective: Collective, times: int | None, is_branch: bool) -> Collective:
    """Says how often a collective is done, or marks it where nobody knows."""
    if times is None:
        return _marked(collective, "a loop over")
    if not is_branch:
        return collective._replace(times=times)
    turns = turns_in(collective.line)
    placed = collective._replace(times=times, turns=turns)
    return placed if turns else _marked(placed, "a branch over")


def _marked(collective: Collective, mark: str) -> Collective:
    axes = collective.axes
    return collective._replace(axes=(f"{mark} {' x '.join(axes)}",) if axes else ())


def _computations(text: str) -> dict[str, list[str]]:
    """Returns the lines of each computation of a module, by its name."""
    found: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.splitlines():
        head = _COMPUTATION.match(line)
        name = head["name"] if head else name
        found.setdefault(name, []).append(line)
    return found


def _callers(computations: dict[str, list[str]]) -> Callers:
    """Returns where each computation is called."""
    callers: Callers = {}
    for name, lines in computations.items():
        for line in lines:
            for how, called in _CALLED.findall(line):
                call = _Call(name, _turns(how, line), how in _BRANCHES)
                for inner in re.findall(r"%([\w.\-]+)", called):
                    callers.setdefault(inner, []).append(call)
    return callers


def _runs(name: str, callers: Callers) -> int | None:
    """Adds up how often a computation is called, or its branch is come by.

    One that nobody calls runs once. None in a loop whose number of turns XLA does not
    know.
    """
    if name not in callers:
        return 1
    total = 0
    for call in callers[name]:
        outside = _runs(call.caller, callers)
        if call.turns is None or outside is None:
            return None
        total += call.turns * outside
    return total


def _is_branch(name: str, callers: Callers) -> bool:
    """Whether a computation is a branch, or called in one."""
    return any(
        call.is_branch or _is_branch(call.caller, callers)
        for call in callers.get(name, ())
    )


def _turns(how: str, line: str) -> int | None:
    if how not in _REPEATS:
        return 1
    known = _TRIPS.search(line)
    return int(known[1]) if how == "body" and known else None


def _read(line: str, axes: dict[str, int]) -> Collective | None:
    match = _LINE.search(line)
    if match is None:
        return None
    crossed = _axes_crossed(line, axes)
    size = int(np.prod([axes.get(name, 1) for name in crossed], dtype=int))
    kind = match["kind"]
    pairs = _pairs_along(line, axes, crossed)
    messages = tuple(
        Message(kind, dtype, elements, pairs=pairs)  # type: ignore[arg-type]
        for dtype, elements in _operands(kind, match, size)
    )
    return Collective(name_in(line), crossed, messages, line.strip())


def _operands(kind: str, match: re.Match[str], size: int) -> list[tuple[str, int]]:
    """Returns element type and elements of the operands, read off the result."""
    arrays = []
    for dtype, dims in _ARRAY.findall(match["result"]):
        sizes = [int(dim) for dim in dims.split(",") if dim]
        arrays.append((dtype, int(np.prod(sizes, dtype=int))))
    if match["start"] and kind != "all-reduce":
        contexts = 2 if arrays[2:] == [("u32", 1), ("u32", 1)] else 0
        arrays = arrays[: len(arrays) - contexts]
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
        sizes_named = {name: int(size) for name, size in _SIZE.findall(named[1])}
        if sizes_named.items() <= axes.items():
            return _named_axes(named[2], axes)
    groups = _groups(line, int(np.prod(list(axes.values()), dtype=int)))
    sizes = tuple(axes.values())
    crossed: set[int] = set()
    for group in groups:
        places = np.array([np.unravel_index(member, sizes) for member in group])
        crossed |= {dim for dim in range(len(sizes)) if len(set(places[:, dim])) > 1}
    names = tuple(name for dim, name in enumerate(axes) if dim in crossed)
    if _PAIRS.search(line):
        is_whole = _are_alike(line, sizes, crossed)
    else:
        is_whole = groups == _whole(sizes, crossed)
    return names if is_whole or not names else (f"part of {' x '.join(names)}",)


def _are_alike(line: str, sizes: tuple[int, ...], crossed: set[int]) -> bool:
    """Whether the pairs of a permute are the same wherever else members are."""
    found: dict[tuple[int, ...], set[tuple[int, ...]]] = {}
    for pair in _pairs(line):
        ends = [np.unravel_index(member, sizes) for member in pair]
        inside = tuple(int(end[dim]) for end in ends for dim in sorted(crossed))
        outside = [int(e) for dim, e in enumerate(ends[0]) if dim not in crossed]
        found.setdefault(tuple(outside), set()).add(inside)
    others = [size for dim, size in enumerate(sizes) if dim not in crossed]
    alike = len({frozenset(pairs) for pairs in found.values()}) == 1
    return alike and len(found) == int(np.prod(others, dtype=int))


def _pairs_along(line: str, axes: dict[str, int], crossed: tuple[str, ...]) -> Pairs:
    """Returns who sends to whom, as places along the axes that are crossed."""
    sizes = tuple(axes.values())
    dims = [dim for dim, name in enumerate(axes) if name in crossed]

    def place(member: int) -> int:
        where = np.unravel_index(member, sizes)
        return int(
            np.ravel_multi_index(
                [int(where[dim]) for dim in dims], [sizes[dim] for dim in dims]
            )
        )

    found = {(place(source), place(target)) for source, target in _pairs(line)}
    return tuple(sorted(found)) if dims else ()


def _pairs(line: str) -> list[tuple[int, ...]]:
    match = _PAIRS.search(line)
    return _rows(match[1]) if match else []


def _named_axes(text: str, axes: dict[str, int]) -> tuple[str, ...]:
    words = re.findall(r"'([^']+)'", text)
    names = tuple(name for name in axes if name in words and axes[name] > 1)
    is_whole = _AXES.fullmatch(text) is not None
    return names if is_whole or not names else (f"part of {' x '.join(names)}",)


def _whole(sizes: tuple[int, ...], crossed: set[int]) -> Groups:
    """Returns the groups of devices that differ along some dims only."""
    ids = np.arange(int(np.prod(sizes, dtype=int))).reshape(sizes)
    order = [d for d in range(len(sizes)) if d not in crossed] + sorted(crossed)
    size = int(np.prod([sizes[d] for d in crossed], dtype=int))
    rows = ids.transpose(order).reshape(-1, size)
    return frozenset(frozenset(map(int, row)) for row in rows)


def _groups(line: str, devices: int) -> Groups:
    named, iota = _NAMED.search(line), _IOTA.search(line)
    if named:
        return _groups_by_place(named[1], named[2], devices)
    if iota:
        shape, source = _ints(iota[1]), _ints(iota[2])
        ids = np.arange(int(np.prod(source))).reshape(source)
        ids = ids.transpose(_ints(iota[3])) if iota[3] else ids
        return frozenset(frozenset(map(int, row)) for row in ids.reshape(shape))
    listed = _LISTED.search(line)
    rows = _rows(listed[0]) if listed else _pairs(line)
    if not rows:
        return frozenset([frozenset(range(devices))])
    return frozenset(frozenset(row) for row in rows)


def _groups_by_place(mesh: str, crossed: str, devices: int) -> Groups:
    """Reads groups over axes of a mesh that the compiler has named by itself.

    Where they are not understood, each device is taken to talk to each other one, in
    a group of two.
    """
    sizes = {name: int(size) for name, size in _SIZE.findall(mesh)}
    names = re.findall(r"'([^']+)'", crossed)
    is_plain = _AXES.fullmatch(crossed) and _SIZES.fullmatch(mesh)
    is_whole = np.prod(list(sizes.values()), dtype=int) == devices
    if not is_plain or not is_whole or not set(names) <= set(sizes):
        return frozenset(map(frozenset, itertools.combinations(range(devices), 2)))
    dims = {dim for dim, name in enumerate(sizes) if name in names}
    return _whole(tuple(sizes.values()), dims)


def _rows(text: str) -> list[tuple[int, ...]]:
    return [_ints(row) for row in re.findall(r"\{([0-9,]+)\}", text)]


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)
