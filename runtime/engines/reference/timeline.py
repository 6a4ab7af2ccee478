"""Which choices hold at which step on one replica axis.

Each of an axis's three choices may be scheduled on its own. Cutting the steps at
every change of any of them gives the *clauses* of the axis:

    centralization  |      allreduce                        ...
    consistency     | synchronous |  local(every = 2)       ...
    compression     |    none           |  int8             ...
    clauses         |  0          |  1  |  2                ...

What a rule remembers lasts as long as its phase of consistency; what a codec
remembers lasts as long as its clause. A codec that begins gently is in force in
stages, see `stages`, which share what it remembers.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from diamond.dsl.vocabulary import Phase, Replicas, Scheme, phases_of
from diamond.runtime.engines.reference import meaning, stages
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.members import groups

T = TypeVar("T")


def axes_of(scheme: Scheme) -> tuple[ReplicaAxis, ...]:
    """Lays the replica axes of a scheme out, from the outermost.

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
    blocks = [replicas[axis.name] for axis in scheme.mesh if axis.name in replicas]
    sizes = tuple(axis.size for axis in scheme.mesh if axis.name in replicas)
    decay = stages.betas_of(scheme.train.optimizer)[0]
    axes = tuple(_laid_out(i, sizes, b, decay) for i, b in enumerate(blocks))
    meaning.check_clauses(scheme, axes)
    return axes


def _laid_out(
    index: int, sizes: tuple[int, ...], block: Replicas, decay: float | None
) -> ReplicaAxis:
    who = phases_of(block.centralization)
    when = phases_of(block.consistency)
    form = phases_of(block.compression)
    starts = sorted({phase.start for phase in (*who, *when, *form)})
    return ReplicaAxis(
        index=index,
        name=block.axis,
        size=sizes[index],
        groups=groups(sizes, index),
        rules=tuple(phase.value for phase in when),
        clauses=tuple(_clause(i, s, who, when, form) for i, s in enumerate(starts)),
        decay=decay,
    )


def _clause(
    index: int,
    start: int,
    who: Sequence[Phase[Any]],
    when: Sequence[Phase[Any]],
    form: Sequence[Phase[Any]],
) -> Clause:
    rule, codec = _place(when, start), _place(form, start)
    return Clause(
        index=index,
        start=start,
        centralization=who[_place(who, start)].value,
        consistency=when[rule].value,
        compression=form[codec].value,
        rule=rule,
        rule_start=when[rule].start,
        codec_start=form[codec].start,
    )


def _place(phases: Sequence[Phase[T]], step: int) -> int:
    return max(i for i, phase in enumerate(phases) if phase.start <= step)
