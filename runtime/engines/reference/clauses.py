"""A clause: what holds on one replica axis while nothing changes; and the axis."""

from dataclasses import dataclass
from typing import Any

from diamond.dsl.vocabulary import Elastic, Local
from diamond.runtime.engines.reference import stages
from diamond.runtime.engines.reference.shards import WHOLE, Cutter


@dataclass(frozen=True, slots=True)
class Clause:
    """What holds on an axis from step `start` until the next clause.

    Attributes:
        index: Place among the axis's clauses.
        start: The first step.
        centralization: Who talks to whom.
        consistency: The rule.
        compression: The codec, as it is written.
        rule: Place of the rule among the axis's phases of consistency.
        rule_start: The first step of that phase.
        codec_start: The first step of the codec's phase of compression.
        memory: Place of the clause with which the codec's memory began.
        memory_start: The first step of that clause.
    """

    index: int
    start: int
    centralization: Any
    consistency: Any
    compression: Any
    rule: int
    rule_start: int
    codec_start: int
    memory: int
    memory_start: int

    @property
    def every(self) -> int:
        """Steps from one exchange to the next."""
        rule = self.consistency
        return rule.every if isinstance(rule, Local | Elastic) else 1

    @property
    def parts(self) -> int:
        """Parts of the model that are exchanged in turns."""
        return self.consistency.fragments if isinstance(self.consistency, Local) else 1

    def age(self, step: int) -> int:
        """Returns the steps since the rule began."""
        return step - self.rule_start

    def is_due(self, step: int, part: int | None = None) -> bool:
        """Says whether a part, the last where not given, is exchanged at a step.

        Example:
            >>> clause = Clause(0, 3, None, Local(every=2), None, 1, 3, 0, 0, 3)
            >>> [clause.is_due(step) for step in range(3, 8)]
            [False, True, False, True, False]
        """
        return (self.age(step) + 1 - self._turn(part)) % self.every == 0

    def count(self, step: int, part: int | None = None) -> int:
        """Returns the exchanges of a part before a step since the memory began.

        Example:
            >>> rule = Local(every=4, fragments=2)
            >>> clause = Clause(0, 0, None, rule, None, 0, 0, 0, 0, 0)
            >>> [clause.count(step, part=0) for step in range(8)]
            [0, 0, 1, 1, 1, 1, 2, 2]
        """
        rest = self.every - self._turn(part)
        until, since = self.age(step), self.age(self.memory_start)
        return (until + rest) // self.every - (since + rest) // self.every

    def codec(self, step: int) -> Any:
        """Returns the codec in force at a step."""
        return stages.in_force(self.compression, step - self.codec_start)

    def _turn(self, part: int | None) -> int:
        """Returns after how many steps of each period a part is exchanged."""
        last = self.parts - 1 if part is None else part
        return (last + 1) * self.every // self.parts


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
        decay: b1 of the scheme's optimizer, None where it has none.
        inside: Members that differ along the axes inside alone.
        seed: The seed of the run.
        cutter: How one copy is cut up.
    """

    index: int
    name: str
    size: int
    groups: tuple[tuple[int, ...], ...]
    rules: tuple[Any, ...]
    clauses: tuple[Clause, ...]
    decay: float | None = None
    inside: int = 1
    seed: int = 0
    cutter: Cutter = WHOLE

    def at(self, step: int) -> Clause:
        """Returns the clause that holds at a step."""
        return [clause for clause in self.clauses if clause.start <= step][-1]

    @property
    def num_members(self) -> int:
        """Members in all groups."""
        return sum(map(len, self.groups))

    def place_of(self, member: int) -> int:
        """Returns the index of a member along the axis."""
        return next(group.index(member) for group in self.groups if member in group)

    def outside_of(self, member: int) -> int:
        """Returns the place of a member along the axes outside, row-major."""
        return member // (self.size * self.inside)
