"""The certificate: the compiled program sends what the plan says, byte for byte."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from diamond.compiler.hlo import Collective, collectives_of
from diamond.compiler.plan import ITEM_BYTES, LANDING, Exchange, Plan
from diamond.compiler.variants import Due

Key = tuple[str, str, str, str]


class CertificateError(Exception):
    """A compiled program and its plan differ; names the exchange."""


class Certified(NamedTuple):
    """What one exchange sends, in the plan and in the compiled program alike.

    Attributes:
        exchange: Its name, and its turn where it takes several.
        axis: The mesh axis.
        kind: The collective.
        dtype: HLO element type.
        elements: Elements that one device puts in, over all such collectives.
        bytes: The same in bytes.
    """

    exchange: str
    axis: str
    kind: str
    dtype: str
    elements: int
    bytes: int


class Certificate(NamedTuple):
    """What was held against each other.

    Attributes:
        programs: Number of compiled programs.
        rows: What they send.
        temporary_bytes: Most bytes that XLA reserves on a device for one step,
            beyond arguments and results; None where the backend does not say.
    """

    programs: int
    rows: tuple[Certified, ...]
    temporary_bytes: int | None

    def __str__(self) -> str:
        lines = [
            f"  {r.exchange}: {r.kind} over {r.axis} of {r.dtype}[{r.elements}], "
            f"{r.bytes:,} bytes"
            for r in self.rows
        ]
        plural = "program" if self.programs == 1 else "programs"
        head = f"certified: {self.programs} compiled {plural} and the plan agree"
        if not self.rows:
            lines = ["  nothing crosses the mesh"]
        if self.temporary_bytes is not None:
            lines.append(f"  temporary memory: {self.temporary_bytes:,} bytes a device")
        return "\n".join([head, *lines])


def certify(plan: Plan, programs: Mapping[Due, Any]) -> Certificate:
    """Holds compiled programs against a plan.

    Args:
        plan: The plan.
        programs: For each set of exchanges that meet, the compiled step.

    Raises:
        CertificateError: If kind, axis, element type or bytes differ.
    """
    axes = {axis.name: axis.size for axis in plan.axes}
    rows: dict[tuple[Key, str], int] = {}
    for due, program in programs.items():
        turns = dict(due)
        wanted = _planned(plan, turns)
        found = collectives_of(program.as_text(), axes)
        _compare(wanted, _counted(found), found)
        notes = {
            each.name: _turn(each, turns.get(each.name)) for each in plan.exchanges
        }
        rows.update({(key, notes[key[0]]): num for key, num in wanted.items()})
    certified = tuple(
        Certified(key[0] + note, *key[1:], elements, elements * ITEM_BYTES[key[3]])
        for (key, note), elements in rows.items()
    )
    return Certificate(len(programs), certified, _temporary(programs))


def _turn(exchange: Exchange, turn: int | None) -> str:
    """Says which turn it is, where an exchange takes several."""
    return f", turn {turn}" if len(set(exchange.turns)) > 1 else ""


def _planned(plan: Plan, turns: Mapping[str, int]) -> Counter[Key]:
    wanted: Counter[Key] = Counter()
    for each in plan.exchanges:
        for message in each.sent(turns.get(each.name, LANDING)):
            key = (each.name, each.agreement.axis, message.kind, message.dtype)
            wanted[key] += message.elements
    return wanted


def _counted(collectives: tuple[Collective, ...]) -> Counter[Key]:
    found: Counter[Key] = Counter()
    for each in collectives:
        name, axis = each.exchange or "no exchange", " x ".join(each.axes)
        for message in each.messages:
            found[name, axis, message.kind, message.dtype] += message.elements
    return found


def _compare(
    wanted: Counter[Key], found: Counter[Key], collectives: tuple[Collective, ...]
) -> None:
    for key in sorted(wanted | found):
        if wanted[key] == found[key]:
            continue
        name, axis, kind, dtype = key
        lines = [c.line for c in collectives if (c.exchange or "no exchange") == name]
        raise CertificateError(
            f"exchange `{name}`: the plan sends {wanted[key]} elements of {dtype} by "
            f"{kind} over {axis}, the compiled program {found[key]}\n"
            + "\n".join(lines)
        )


def _temporary(programs: Mapping[Due, Any]) -> int | None:
    sizes = [program.memory_analysis() for program in programs.values()]
    if not sizes or any(size is None for size in sizes):
        return None
    return max(int(size.temp_size_in_bytes) for size in sizes)
