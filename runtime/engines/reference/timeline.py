"""Which choices hold at which step on one replica axis.

Each of an axis's three choices may be scheduled on its own. Cutting the steps at
every change of any of them gives the *clauses* of the axis:

    centralization  |      allreduce                        ...
    consistency     | synchronous |  local(every = 2)       ...
    compression     |    none           |  int8             ...
    clauses         |  0          |  1  |  2                ...

What a rule remembers lasts as long as its phase of consistency. What a codec remembers
lasts as long as its phase of compression, whatever way the messages travel, while what
it encodes stays the same thing: gradients on their way to a mean under one rule after
another, or the ways since the anchors of one rule. A codec that begins gently is in
force in stages, see `stages`, which share what it remembers.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeVar

from diamond.dsl.vocabulary import (
    AllReduce,
    Ensemble,
    NoCompression,
    Phase,
    Replicas,
    Scheme,
    phases_of,
)
from diamond.runtime.engines.reference import meaning, stages
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.members import groups
from diamond.runtime.engines.reference.shards import WHOLE, Cutter

T = TypeVar("T")


def axes_of(scheme: Scheme, cutter: Cutter = WHOLE) -> tuple[ReplicaAxis, ...]:
    """Lays the replica axes of a scheme out, from the outermost.

    Args:
        scheme: The scheme.
        cutter: How one copy is cut up.

    Raises:
        ValueError: If the scheme asks for something without a meaning here.

    Example:
        >>> from diamond.dsl.vocabulary import Axis
        >>> mesh = (Axis("site", 2), Axis("host", 4))
        >>> blocks = (Replicas("host"), Replicas("site"))
        >>> scheme = Scheme("s", mesh=mesh, replicas=blocks)
        >>> [(axis.name, axis.size) for axis in axes_of(scheme)]
        [('site', 2), ('host', 4)]
    """
    meaning.check_axes(scheme)
    replicas = {block.axis: block for block in scheme.replicas}
    apart = {
        each.axis: each.strategy
        for each in scheme.parallelism
        if isinstance(each.strategy, Ensemble)
    }
    copied = [axis for axis in scheme.mesh if axis.name in {*replicas, *apart}]
    sizes = tuple(axis.size for axis in copied)
    decay = stages.betas_of(scheme.train.optimizer)[0]
    seed = scheme.train.seed
    axes = tuple(
        replace(
            _apart(sizes, axis.name, apart[axis.name])
            if axis.name in apart
            else _laid_out(i, sizes, replicas[axis.name], decay, seed),
            cutter=cutter,
        )
        for i, axis in enumerate(copied)
    )
    meaning.check_clauses(scheme, axes)
    return axes


def _apart(sizes: tuple[int, ...], name: str, term: Ensemble) -> ReplicaAxis:
    """Lays out the outermost axis, whose members do nothing with each other."""
    clause = Clause(0, 0, AllReduce(), term, NoCompression(), 0, 0, 0, 0, 0)
    inside = math.prod(sizes[1:])
    return ReplicaAxis(
        0, name, sizes[0], groups(sizes, 0), (term,), (clause,), inside=inside
    )


def _laid_out(
    index: int,
    sizes: tuple[int, ...],
    block: Replicas,
    decay: float | None,
    seed: int,
) -> ReplicaAxis:
    who = phases_of(block.centralization)
    when = phases_of(block.consistency)
    form = phases_of(block.compression)
    starts = sorted({phase.start for phase in (*who, *when, *form)})
    clauses: list[Clause] = []
    for start in starts:
        clauses.append(_clause(clauses, start, who, when, form))
    return ReplicaAxis(
        index=index,
        name=block.axis,
        size=sizes[index],
        groups=groups(sizes, index),
        rules=tuple(phase.value for phase in when),
        clauses=tuple(clauses),
        decay=decay,
        inside=math.prod(sizes[index + 1 :]),
        seed=seed,
    )


def _clause(
    before: Sequence[Clause],
    start: int,
    who: Sequence[Phase[Any]],
    when: Sequence[Phase[Any]],
    form: Sequence[Phase[Any]],
) -> Clause:
    rule, codec = _place(when, start), _place(form, start)
    clause = Clause(
        index=len(before),
        start=start,
        centralization=who[_place(who, start)].value,
        consistency=when[rule].value,
        compression=form[codec].value,
        rule=rule,
        rule_start=when[rule].start,
        codec_start=form[codec].start,
        memory=len(before),
        memory_start=start,
    )
    if not before or _remembered(before[-1]) != _remembered(clause):
        return clause
    last = before[-1]
    return replace(clause, memory=last.memory, memory_start=last.memory_start)


def _remembered(clause: Clause) -> tuple[Any, ...]:
    """Returns what a codec's memory is of: it goes on while that stays the same."""
    who = clause.centralization
    is_gradient = meaning.exchanges_gradients(clause)
    encoded = "gradients" if is_gradient else ("ways", clause.rule)
    result = who.reduce if isinstance(who, AllReduce) else type(who)
    return encoded, result, clause.codec_start


def _place(phases: Sequence[Phase[T]], step: int) -> int:
    return max(i for i, phase in enumerate(phases) if phase.start <= step)
