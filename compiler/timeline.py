"""The time line of an axis: its three schedules merged, and warm-ups spelt out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from diamond.compiler.plan import Agreement
from diamond.dsl import vocabulary as words
from diamond.dsl.legality.kinds import exchanges_gradients
from diamond.dsl.vocabulary import Phase, Replicas, phases_of

DGC_DENSITIES = (0.25, 0.0625, 0.015625, 0.00390625)

Lengths = list[tuple[Any, int | None]]


class Stage(NamedTuple):
    """A codec at the steps `start <= step < stop`.

    Attributes:
        value: The codec.
        start: First step.
        stop: First step after the end, or None.
        origin: Index of the phase of the schedule that it belongs to.
    """

    value: Any
    start: int
    stop: int | None
    origin: int


def agreements_of(block: Replicas) -> tuple[Agreement, ...]:
    """Merges the schedules of one axis's three choices into one time line.

    Example:
        >>> from diamond.dsl.vocabulary import Int8, NoCompression, Scheduled
        >>> codecs = Scheduled(((NoCompression(), 10), (Int8(), None)))
        >>> merged = agreements_of(Replicas("host", compression=codecs))
        >>> [(each.start, each.stop) for each in merged]
        [(0, 10), (10, None)]
    """
    who: tuple[Phase[Any], ...] = phases_of(block.centralization)
    when: tuple[Phase[Any], ...] = phases_of(block.consistency)
    form = stages_of(block.compression)
    starts = sorted(
        {phase.start for phase in (*who, *when)} | {stage.start for stage in form}
    )
    merged: list[Agreement] = []
    remembers: tuple[Any, ...] | None = None
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        clause, talks, code = _at(when, start), _at(who, start), _at(form, start)
        memory = _memory(who[talks].value, when[clause], form[code])
        residual, residual_start = len(merged), start
        if memory == remembers:
            residual, residual_start = merged[-1].residual, merged[-1].residual_start
        remembers = memory
        merged.append(
            Agreement(
                axis=block.axis,
                start=start,
                stop=stop,
                clause=clause,
                clause_start=when[clause].start,
                residual=residual,
                residual_start=residual_start,
                centralization=who[talks].value,
                consistency=when[clause].value,
                compression=form[code].value,
            )
        )
    return tuple(merged)


def stages_of(compression: Any) -> tuple[Stage, ...]:
    """Lays a compression clause out in time, its codecs' own warm-ups spelt out.

    Example:
        >>> [stage.start for stage in stages_of(words.PowerSgd(start=100))]
        [0, 100]
    """
    phases = enumerate(phases_of(compression))
    return tuple(stage for origin, phase in phases for stage in _laid(phase, origin))


def _laid(phase: Phase[Any], origin: int) -> Iterator[Stage]:
    start = phase.start
    for value, length in _spelt(phase.value):
        stop = phase.stop
        if length is not None:
            stop = start + length if stop is None else min(start + length, stop)
        if stop is None or stop > start:
            yield Stage(value, start, stop, origin)
            start = stop if stop is not None else start


def _spelt(term: Any) -> Lengths:
    return _WARM_UPS[type(term)](term) if type(term) in _WARM_UPS else [(term, None)]


def _powersgd(term: words.PowerSgd) -> Lengths:
    return [(words.NoCompression(), term.start), (replace(term, start=0), None)]


def _onebit(term: words.OneBit) -> Lengths:
    return [(term, term.start), (replace(term, start=0), None)]


def _dgc(term: words.Dgc) -> Lengths:
    stages: Lengths = []
    for place, density in enumerate(DGC_DENSITIES):
        length = term.warmup * (place + 1) // 4 - term.warmup * place // 4
        stage = replace(term, density=max(density, term.density), warmup=0)
        stages.append((stage, length))
    return [*stages, (replace(term, warmup=0), None)]


_WARM_UPS: dict[type, Callable[[Any], Lengths]] = {
    words.PowerSgd: _powersgd,
    words.OneBit: _onebit,
    words.Dgc: _dgc,
}


def _memory(who: Any, rule: Phase[Any], stage: Stage) -> tuple[Any, ...]:
    """Returns what must not change for a codec to go on with what it remembers.

    That is the phase of the schedule that it belongs to, and what is exchanged:
    gradients are gradients under every rule, while a displacement is that of its rule.
    How the messages travel does not matter, so long as the same thing is formed.
    """
    values = None if exchanges_gradients(who, rule.value) else rule.start
    made = type(who), getattr(who, "reduce", None)
    return values, made, stage.origin, type(stage.value)


def _at(phases: tuple[Any, ...], step: int) -> int:
    """Returns the index of the phase that holds at a step."""
    return max(index for index, phase in enumerate(phases) if phase.start <= step)
