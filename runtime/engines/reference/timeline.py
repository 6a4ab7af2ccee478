"""Which choices hold at which step on one replica axis.

Each of an axis's three choices may be scheduled on its own. Cutting the steps at
every change of any of them gives the *clauses* of the axis, and within a clause
nothing changes:

    centralization  |      allreduce                        ...
    consistency     | synchronous |  local(every = 2)       ...
    compression     |    none           |  int8             ...
    clauses         |  0          |  1  |  2                ...

A `local` rule, with its anchor and momentum, lasts as long as its phase of
consistency; a codec's residuals last as long as their clause.
"""

from dataclasses import dataclass
from typing import TypeVar

from diamond.dsl.vocabulary import (
    AllReduce,
    Average,
    Cast,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Phase,
    Replicas,
    Scheme,
    Synchronous,
    phases_of,
)
from diamond.runtime.engines.reference.members import groups

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Clause:
    """What holds on an axis from step `start` until the next clause.

    Attributes:
        index: Place among the axis's clauses.
        start: The first step.
        consistency: The rule.
        compression: The codec.
        rule: Place of the rule among the axis's phases of consistency.
        rule_start: The first step of that phase.
    """

    index: int
    start: int
    consistency: Synchronous | Local
    compression: NoCompression | Cast | Int8
    rule: int
    rule_start: int

    def begins(self, step: int) -> bool:
        """Says whether the phase of a `local` rule begins at a step."""
        return isinstance(self.consistency, Local) and step == self.rule_start

    def is_due(self, step: int) -> bool:
        """Says whether the copies of a `local` rule meet at the end of a step.

        Example:
            >>> clause = Clause(0, 3, Local(every=2), NoCompression(), 1, 3)
            >>> [clause.is_due(step) for step in range(3, 8)]
            [False, True, False, True, False]
        """
        if not isinstance(self.consistency, Local):
            return False
        return (step - self.rule_start + 1) % self.consistency.every == 0


@dataclass(frozen=True, slots=True)
class ReplicaAxis:
    """A replica axis with its clauses in the order of time.

    Attributes:
        index: Place among the replica axes, from the outermost.
        name: The name of the mesh axis.
        size: Members along the axis.
        groups: The members that meet over the axis, group by group.
        rules: The phases of consistency.
        clauses: The clauses; the first starts at step 0.
    """

    index: int
    name: str
    size: int
    groups: tuple[tuple[int, ...], ...]
    rules: tuple[Synchronous | Local, ...]
    clauses: tuple[Clause, ...]

    def at(self, step: int) -> Clause:
        """Returns the clause that holds at a step."""
        return [clause for clause in self.clauses if clause.start <= step][-1]


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
    replicas = {block.axis: block for block in scheme.replicas}
    known = {axis.name for axis in scheme.mesh}
    _refuse(scheme.parallelism, "strategies of parallelism")
    _refuse([name for name in replicas if name not in known], "replicas off the mesh")
    alone = [axis for axis in scheme.mesh if axis.name not in replicas]
    _refuse([axis.name for axis in alone if axis.size > 1], "axes without replicas")
    blocks = [replicas[axis.name] for axis in scheme.mesh if axis.name in replicas]
    sizes = tuple(axis.size for axis in scheme.mesh if axis.name in replicas)
    return tuple(_laid_out(i, sizes, block) for i, block in enumerate(blocks))


def _laid_out(index: int, sizes: tuple[int, ...], block: Replicas) -> ReplicaAxis:
    _refuse([] if block.redundancy is None else [block.redundancy], "redundancy")
    who = phases_of(block.centralization)
    _refuse([p.value for p in who if p.value != AllReduce()], "centralization")
    when = phases_of(block.consistency)
    form = phases_of(block.compression)
    starts = sorted({phase.start for phase in (*who, *when, *form)})
    clauses = tuple(
        _clause(place, start, when, form) for place, start in enumerate(starts)
    )
    rules = tuple(_rule(phase.value) for phase in when)
    meetings = groups(sizes, index)
    return ReplicaAxis(index, block.axis, sizes[index], meetings, rules, clauses)


def _clause(
    place: int, start: int, when: tuple[Phase[T], ...], form: tuple[Phase[T], ...]
) -> Clause:
    rule = max(i for i, phase in enumerate(when) if phase.start <= start)
    codec = max(i for i, phase in enumerate(form) if phase.start <= start)
    return Clause(
        index=place,
        start=start,
        consistency=_rule(when[rule].value),
        compression=_codec(form[codec].value),
        rule=rule,
        rule_start=when[rule].start,
    )


def _rule(value: object) -> Synchronous | Local:
    if isinstance(value, Synchronous):
        return value
    if not isinstance(value, Local) or not isinstance(value.outer, Average | Nesterov):
        raise ValueError(f"no meaning is written down for the consistency {value}")
    if value != Local(every=value.every, outer=value.outer):
        raise ValueError(f"no meaning is written down for some arguments of {value}")
    return value


def _codec(value: object) -> NoCompression | Cast | Int8:
    if isinstance(value, NoCompression | Cast | Int8):
        return value
    raise ValueError(f"no meaning is written down for the compression {value}")


def _refuse(found: object, what: str) -> None:
    if found:
        raise ValueError(f"no meaning is written down for {what}: {found}")
