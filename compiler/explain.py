"""Explain: a plan in words and figures, for people."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from diamond.compiler.agreements import parts_of
from diamond.compiler.lane import parts_aside
from diamond.compiler.parallelism.ensemble import ensemble_axis
from diamond.compiler.parallelism.schedules.picture import picture
from diamond.compiler.parallelism.schedules.tables import table_of
from diamond.compiler.plan import (
    ITEM_BYTES,
    TEMPORARIES,
    Agreement,
    Exchange,
    MeshAxis,
    Message,
    Plan,
)
from diamond.compiler.twins import can_overlap
from diamond.dsl import vocabulary as words
from diamond.dsl.emit import format_term
from diamond.dsl.vocabulary import OneBit


def explain(plan: Plan) -> str:
    """Returns a page about a plan: mesh, exchanges, equations, bytes, memory."""
    sections = (
        _head(plan),
        _section("mesh, outermost axis first", _table(_mesh(plan))),
        _section("one copy, cut up", _flows(plan)),
        _section("exchanges", _exchanges(plan)),
        *(_section(f"pipeline over {a.name}", _pipeline(plan, a)) for a in plan.axes),
        _section("one step", plan.equations),
        _section("bytes that a device sends", _table(_wire(plan))),
        _section("memory that a device holds", _table(_memory(plan))),
        _section("work", _table(_work(plan))),
    )
    return "\n\n".join(section for section in sections if section)


def _head(plan: Plan) -> str:
    devices = "1 device" if plan.devices == 1 else f"{plan.devices} devices"
    return (
        f"{plan.name}: {devices}, {plan.steps:,} steps "
        f"of {plan.batch:,} examples, {plan.precision}"
    )


def _section(title: str, lines: Iterable[str]) -> str:
    body = [f"  {line}" for line in lines]
    return "\n".join([title, *body]) if body else ""


def _mesh(plan: Plan) -> list[list[str]]:
    return [[axis.name, str(axis.size), *_axis(plan, axis)] for axis in plan.axes]


def _axis(plan: Plan, axis: MeshAxis) -> list[str]:
    link = ""
    if axis.bandwidth is not None:
        latency = f"{(axis.latency or 0) * 1e3:g} ms"
        link = f"{quantity(axis.bandwidth, 'bit/s', 1000)}, {latency}"
    if axis.strategy is not None:
        what = "members train alone" if axis.holds_copies else "one copy"
        return [f"{format_term(axis.strategy)}, {what}", link]
    if not any(each.axis == axis.name for each in plan.agreements):
        return ["", ""]
    tie = "loose: copies may differ" if axis.loose else "tight: copies are equal"
    return [f"replicas, {tie} between steps", link]


def _flows(plan: Plan) -> list[str]:
    """Says what each strategy cuts and sends: in all, since sizes differ."""
    lines: list[str] = []
    for flow in plan.flows:
        cut = sum(flow.axis in tensor.axes for tensor in plan.tensors)
        lines.append(f"{flow.name}{flow.at}: cuts {cut} of {len(plan.tensors)} tensors")
        if flow.by_partitioner:
            lines.append(
                "  what crosses is the choice of XLA's partitioner, and counted"
            )
            lines.append("  in the compiled program")
        kinds = dict.fromkeys((each.kind, each.dtype) for each in flow.messages)
        for kind, dtype in kinds:
            sent = [m for m in flow.messages if (m.kind, m.dtype) == (kind, dtype)]
            size = quantity(sum(each.operand_bytes for each in sent), "B")
            lines.append(f"  {len(sent)} x {kind} of {dtype} ({size} in all)")
    return lines


def _exchanges(plan: Plan) -> list[str]:
    lines: list[str] = []
    aside = parts_aside(parts_of(plan)) if can_overlap(plan) else {}
    for each in plan.exchanges:
        lines.append(f"{each.name}: {', '.join(_terms(each))}")
        lines.append(f"  {_times(each)}; {each.route}: {each.reason}")
        if each.name in aside:
            lines.append("  can cross beside the next steps, with overlap")
        lines += [f"  {line}" for line in _fragment(plan, each)]
        lines += [f"  {line}" for line in _sent(each)]
    who = "each member" if ensemble_axis(plan.axes) else "one device"
    return lines or [f"none: {who} trains alone"]


def _pipeline(plan: Plan, axis: MeshAxis) -> list[str]:
    """Draws the ticks of a pipeline, and says what they cost."""
    if not isinstance(axis.strategy, words.Pipeline) or axis.size == 1:
        return []
    table = table_of(axis.strategy, axis.size)
    held = [str(table.held(stage)) for stage in range(table.stages)]
    return [
        format_term(axis.strategy),
        *picture(table),
        f"{len(table.ticks)} ticks, of which a stage waits in {table.bubble:.1%} on "
        "average (each tick counted as one)",
        f"chunk inputs kept at once, stage by stage: {', '.join(held)} of "
        f"{table.microbatches * table.chunks}",
        "a device holds the embedding and the head as well, and all of the batch",
    ]


def _terms(exchange: Exchange) -> tuple[str, str, str]:
    agreement = exchange.agreement
    return (
        format_term(agreement.centralization),
        format_term(agreement.consistency),
        _codec(agreement),
    )


def _codec(agreement: Agreement) -> str:
    """Writes a codec; of 1-bit Adam, whose two stages are one term, also the stage."""
    codec = agreement.compression
    if not isinstance(codec, OneBit):
        return format_term(codec)
    stage = "plain Adam" if codec.start else "momentum as signs"
    return f"{format_term(replace(codec, start=OneBit().start))}: {stage}"


def _fragment(plan: Plan, exchange: Exchange) -> list[str]:
    """Says which part of the model is exchanged, and when first, if not the whole."""
    if len(exchange.leaves) == len(plan.tensors):
        return []
    first = exchange.agreement.clause_start + exchange.offset
    paths = ", ".join(plan.tensors[place].path for place in exchange.leaves)
    return [f"first at step {first}; of the model: {paths}"]


def _sent(exchange: Exchange) -> list[str]:
    """Lists the messages of an exchange, turn by turn where turns differ."""
    turns = list(dict.fromkeys(exchange.turns))
    if len(turns) == 1:
        return _messages(exchange.messages)
    lines = []
    for turn in turns:
        often = f"{exchange.turns.count(turn)} of {len(exchange.turns)} exchanges"
        lines.append(f"turn {turn}, {often}:")
        lines += [f"  {line}" for line in _messages(exchange.sent(turn))]
    return lines


def _times(exchange: Exchange) -> str:
    agreement, every = exchange.agreement, exchange.every
    text = "every step" if every == 1 else f"every {every} steps"
    if exchange.late:
        text += f", landing {exchange.late} later"
    if agreement.start or agreement.stop is not None:
        text += f", steps {agreement.start} to "
        text += "the end" if agreement.stop is None else str(agreement.stop - 1)
    return text


def _messages(messages: Sequence[Message]) -> list[str]:
    """Writes messages, those of one kind and size that follow one another on a line."""
    runs = groupby(messages, key=lambda one: (one.kind, one.dtype, one.elements))
    return [_message([*same]) for _, same in runs]


def _message(same: Sequence[Message]) -> str:
    message, count = same[0], len(same)
    size = quantity(message.operand_bytes, "B")
    times, each = (f"{count} x ", " each") if count > 1 else ("", "")
    text = f"{message.kind} of {message.dtype}[{message.elements}]"
    return f"{times}{text} ({size}{each})"


def _wire(plan: Plan) -> list[list[str]]:
    kept = "fp64" if plan.precision == "fp64" else "fp32"
    item = ITEM_BYTES["f64" if kept == "fp64" else "f32"]
    busy = plan.wire_seconds()
    dense_name = f"of a dense {kept} all-reduce"
    rows = [["axis", "a step, on average", dense_name, "time on its link" * bool(busy)]]
    unknown = {flow.axis for flow in plan.flows if flow.by_partitioner}
    for name, sent in plan.wire_bytes().items():
        axis = plan.axis(name)
        if name in unknown:
            rows.append([name, "the partitioner's choice", "", ""])
            continue
        values = sum(tensor.elements for tensor in plan.local_tensors)
        dense = 2 * (axis.size - 1) / axis.size * values * item
        if axis.strategy is not None:
            dense = 0.0
        share = f"1/{dense / sent:.3g}" if sent and sent < dense else ""
        if dense and not share:
            share = f"{sent / dense:.3g}"
        time = f"{busy[name] * 1e3:.3g} ms" if name in busy else ""
        rows.append([name, quantity(sent, "B"), share, time])
    return rows if len(rows) > 1 else []


def _memory(plan: Plan) -> list[list[str]]:
    rows = [[held.what, quantity(held.bytes, "B")] for held in plan.memory]
    total = sum(held.bytes for held in plan.memory)
    whole = any(held.what == TEMPORARIES for held in plan.memory)
    name = "together" if whole else "together, without activations"
    return [*rows, [name, quantity(total, "B")]]


def _work(plan: Plan) -> list[list[str]]:
    rows = [["parameters", f"{plan.parameters:,}"]]
    if plan.flops is not None:
        total = plan.flops * plan.shares
        if any(isinstance(axis.strategy, words.Features) for axis in plan.axes):
            return [*rows, ["all copies' step", quantity(total, "FLOP", 1000)]]
        one = total / plan.devices
        rows.append(["a device's step", quantity(one, "FLOP", 1000)])
        rows.append(["all devices' step", quantity(total, "FLOP", 1000)])
    return rows


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def quantity(value: float, unit: str, base: int = 1024) -> str:
    """Writes a number with a prefix.

    Example:
        >>> quantity(1536, "B"), quantity(2.5e9, "bit/s", 1000)
        ('1.5 KiB', '2.5 Gbit/s')
    """
    prefixes = ["", "Ki", "Mi", "Gi", "Ti"] if base == 1024 else ["", *"kMGTP"]
    for prefix in prefixes[:-1]:
        if abs(value) < base:
            digits = 4 if abs(value) >= 1000 else 3
            return f"{value:.{digits}g} {prefix}{unit}"
        value /= base
    return f"{value:.3g} {prefixes[-1]}{unit}"
