"""The certificate: the compiled program sends what the plan says, byte for byte."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from diamond.compiler.hlo import Collective, collectives_of
from diamond.compiler.plan import (
    ITEM_BYTES,
    Exchange,
    Flow,
    Message,
    Pairs,
    Plan,
)
from diamond.compiler.variants import Due

Key = tuple[str, str, str, str]
Hop = tuple[str, str, Pairs]


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
        left_out: Exchanges, or turns of them, that no program has, since the run's
            steps do not reach them; each with the reason.
    """

    programs: int
    rows: tuple[Certified, ...]
    temporary_bytes: int | None
    left_out: tuple[str, ...] = ()

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
        lines += [f"  left out: {each}" for each in self.left_out]
        if self.temporary_bytes is not None:
            lines.append(f"  temporary memory: {self.temporary_bytes:,} bytes a device")
        return "\n".join([head, *lines])


def certify(plan: Plan, programs: Mapping[Due, Sequence[Any]]) -> Certificate:
    """Holds compiled programs against a plan.

    Args:
        plan: The plan.
        programs: For each set of exchanges that meet, what is compiled for the step.

    Raises:
        CertificateError: If kind, axis, element type, bytes or, where members send to
            one another, the pairs differ.
    """
    axes = {axis.name: axis.size for axis in plan.axes}
    rows: dict[tuple[Key, str], int] = {}
    for due, pieces in programs.items():
        turns = dict(due)
        wanted = _planned(plan, turns)
        found = tuple(
            each for piece in pieces for each in collectives_of(piece.as_text(), axes)
        )
        _compare(wanted, _counted(found), found)
        _compare_hops(_hops_planned(plan, turns), _hops_found(found))
        notes = {
            each.name: _turn(each, turns.get(each.name)) for each in plan.exchanges
        }
        rows.update({(key, notes.get(key[0], "")): n for key, n in wanted.items()})
    certified = tuple(
        Certified(key[0] + note, *key[1:], elements, elements * ITEM_BYTES[key[3]])
        for (key, note), elements in rows.items()
    )
    unreached = tuple(
        text for each in plan.exchanges for text in _left(plan, each, programs)
    )
    compiled = list(
        {id(piece): piece for s in programs.values() for piece in s}.values()
    )
    return Certificate(len(compiled), certified, _temporary(compiled), unreached)


def _left(plan: Plan, exchange: Exchange, programs: Iterable[Due]) -> Iterator[str]:
    """Says what no program has of an exchange."""
    taken = {turn for due in programs for name, turn in due if name == exchange.name}
    if not taken:
        yield f"{exchange.name}, {_unreached(plan, exchange)}"
        return
    for turn in dict.fromkeys(exchange.turns):
        if turn not in taken:
            yield f"{exchange.name}, turn {turn}, which the run is too short for"


def _unreached(plan: Plan, exchange: Exchange) -> str:
    first, steps = exchange.first_due, f"{plan.steps:,} steps"
    if first is None:
        return "which is due at no step of its phase"
    return f"first due at step {first}, and the run has {steps}"


def _turn(exchange: Exchange, turn: int | None) -> str:
    """Says which turn it is, where an exchange takes several."""
    return f", turn {turn}" if len(set(exchange.turns)) > 1 else ""


def _planned(plan: Plan, turns: Mapping[str, int]) -> Counter[Key]:
    wanted: Counter[Key] = Counter()
    for name, flow in _flowing(plan):
        for message in flow.messages:
            key = (name, flow.axis, message.kind, message.dtype)
            wanted[key] += message.elements
    for each, sent in plan.sent_at(turns):
        for message in sent:
            key = (each.name, each.agreement.axis, message.kind, message.dtype)
            wanted[key] += message.elements
    return wanted


def _counted(collectives: tuple[Collective, ...]) -> Counter[Key]:
    found: dict[Key, Fraction] = {}
    for each in collectives:
        axis = " x ".join(each.axes)
        for name, times in _done(each):
            for message in each.messages:
                key = (name, axis, message.kind, message.dtype)
                found[key] = found.get(key, Fraction()) + message.elements * times
    return _in_whole(found)


def _in_whole(found: Mapping[Any, Fraction]) -> Counter[Any]:
    """Rounds up, so that parts of a message are not what any plan sends."""
    return Counter({key: math.ceil(elements) for key, elements in found.items()})


def _flowing(plan: Plan) -> Iterator[tuple[str, Flow]]:
    """Yields what each strategy sends, once for each stage where these differ."""
    for flow in plan.flows:
        if not flow.stages:
            yield flow.name, flow
        for stage in flow.stages:
            yield _at(flow.name, stage), flow


def _done(collective: Collective) -> Iterator[tuple[str, Fraction]]:
    """Yields whose a collective is and how often it is done, by stages likewise."""
    name = collective.exchange or "no exchange"
    if not collective.turns:
        yield name, Fraction(collective.times)
    for stage, part in enumerate(collective.turns):
        yield _at(name, stage), collective.times * part


def _at(name: str, stage: int) -> str:
    return f"{name} at stage {stage}"


def _compare(
    wanted: Counter[Key], found: Counter[Key], collectives: tuple[Collective, ...]
) -> None:
    for key in sorted(wanted | found):
        if wanted[key] == found[key]:
            continue
        name, axis, kind, dtype = key
        lines = [c.line for c in collectives if name in dict(_done(c))]
        raise CertificateError(
            f"exchange `{name}`: the plan sends {wanted[key]} elements of {dtype} by "
            f"{kind} over {axis}, the compiled program {found[key]}\n"
            + "\n".join(lines)
        )


def _hops_planned(plan: Plan, turns: Mapping[str, int]) -> Counter[Hop]:
    exchanged = [
        (each.name, message, Fraction(1))
        for each, sent in plan.sent_at(turns)
        for message in sent
    ]
    flowing = [
        (name, message, Fraction(1))
        for name, flow in _flowing(plan)
        for message in flow.messages
    ]
    return _hops(exchanged + flowing)


def _hops_found(collectives: Iterable[Collective]) -> Counter[Hop]:
    return _hops(
        (name, message, times)
        for each in collectives
        for name, times in _done(each)
        for message in each.messages
    )


def _hops(messages: Iterable[tuple[str, Message, Fraction]]) -> Counter[Hop]:
    """Counts the elements from member to member, by who sends to whom."""
    hops: dict[Hop, Fraction] = {}
    for name, message, times in messages:
        if message.kind == "collective-permute":
            key = (name, message.dtype, message.pairs)
            hops[key] = hops.get(key, Fraction()) + message.elements * times
    return _in_whole(hops)


def _compare_hops(wanted: Counter[Hop], found: Counter[Hop]) -> None:
    for name, dtype, pairs in sorted(wanted | found):
        planned, compiled = (each[name, dtype, pairs] for each in (wanted, found))
        if planned != compiled:
            hops = ", ".join(f"{source} to {target}" for source, target in pairs)
            raise CertificateError(
                f"exchange `{name}`: the plan sends {planned} elements of {dtype} from "
                f"members {hops}, the compiled program {compiled}"
            )


def _temporary(compiled: Sequence[Any]) -> int | None:
    sizes = [piece.memory_analysis() for piece in compiled]
    if not sizes or any(size is None for size in sizes):
        return None
    return max(int(size.temp_size_in_bytes) for size in sizes)
