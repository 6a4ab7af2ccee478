"""Exchanges: what the copies over an axis agree on, and when and how it crosses."""

from dataclasses import dataclass
from typing import Literal

from diamond.compiler.plan.messages import Message
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

Subject = Literal["gradients", "parameters"]
Route = Literal["sum", "gather", "two_phase", "ring", "tree", "server", "neighbours"]

LANDING = -1

_TIGHT = (words.Synchronous, words.Pipelined, words.Asynchronous, words.Hogwild)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the copies over an axis agree at the steps `start <= step < stop`.

    Attributes:
        axis: The mesh axis.
        start: First step.
        stop: First step after the end, or None.
        clause: Index of the consistency clause; agreements with the same clause
            share the rule's state.
        clause_start: First step of that clause.
        residual: Index of the agreement of this axis that the codec's state began
            with; agreements with the same one share it.
        residual_start: First step of that agreement.
        centralization: Who talks to whom.
        consistency: What is exchanged, and when.
        compression: In what form.
    """

    axis: str
    start: int
    stop: int | None
    clause: int
    clause_start: int
    residual: int
    residual_start: int
    centralization: families.Centralization
    consistency: families.Consistency
    compression: families.Compression


@dataclass(frozen=True, slots=True)
class Exchange:
    """An agreement at its place in the step.

    Attributes:
        name: Unique, `axis.subject` with a number where there are several; the
            compiled collectives carry it.
        subject: What is exchanged.
        every: Steps from one exchange to the next.
        offset: Steps from the clause's start to its first exchange.
        agreement: What it carries out.
        fragment: Number of the fragment of the model that it exchanges.
        leaves: Indices of the tensors that it exchanges, in order.
        late: Steps from forming a mean to its landing.
        turns: The turns of exchanges that follow one another, as a cycle.
        route: How the mean is formed: `sum` adds on the way, `gather` sends all to
            all, `two_phase` averages chunks and gathers those, `ring` and `tree` add
            hop by hop, `server` gathers shards at their owners, `neighbours` are those
            of a gossip.
        reason: Why this route.
        messages: The collectives of one exchange, on one device.
    """

    name: str
    subject: Subject
    every: int
    offset: int
    agreement: Agreement
    fragment: int = 0
    leaves: tuple[int, ...] = ()
    late: int = 0
    turns: tuple[int, ...] = (0,)
    route: Route = "sum"
    reason: str = ""
    messages: tuple[Message, ...] = ()

    def turn_at(self, step: int) -> int | None:
        """Returns the turn of the exchange at a step, counted from 0.

        `LANDING` where a mean that was formed earlier lands; None where nothing
        happens.
        """
        agreed = self.agreement
        if step < agreed.start or (agreed.stop is not None and step >= agreed.stop):
            return None
        since = step - agreed.clause_start - self.offset
        if since >= 0 and since % self.every == 0:
            return self.turns[self._formed(agreed.residual_start, step) % self._cycle]
        lands = self.late and since >= self.late
        return LANDING if lands and (since - self.late) % self.every == 0 else None

    @property
    def first_due(self) -> int | None:
        """The first step at which a mean is formed, or None where there is none."""
        agreed = self.agreement
        first = agreed.clause_start + self.offset
        first += max(0, -(-(agreed.start - first) // self.every)) * self.every
        return None if agreed.stop is not None and first >= agreed.stop else first

    def due(self, steps: int) -> range:
        """The steps, of the first `steps` ones, at which a mean is formed."""
        first, stop = self.first_due, self.agreement.stop
        stop = steps if stop is None else min(stop, steps)
        return range(stop if first is None else first, stop, self.every)

    def num_due(self, steps: int) -> int:
        """How often a mean is formed in the first `steps` steps."""
        return len(self.due(steps))

    @property
    def begins_afresh(self) -> bool:
        """Whether the optimizer's state is begun afresh where its copies meet."""
        rule = self.agreement.consistency
        return isinstance(rule, words.Local) and rule.state == "reset"

    def sent(self, turn: int) -> tuple[Message, ...]:
        """Returns the messages of a turn."""
        return tuple(each for each in self.messages if each.turn == turn)

    def sent_on_average(self, steps: int) -> tuple[tuple[Message, float], ...]:
        """Returns each message with how often a step sends it, over `steps` steps."""
        agreed, due, cycle = self.agreement, self.num_due(steps), self._cycle
        before = self._formed(agreed.residual_start, agreed.start) % cycle
        left = (self.turns * 2)[before : before + due % cycle]
        times = {
            turn: due // cycle * self.turns.count(turn) + left.count(turn)
            for turn in set(self.turns)
        }
        return tuple((each, times[each.turn] / steps) for each in self.messages)

    @property
    def _cycle(self) -> int:
        return len(self.turns)

    def _formed(self, start: int, stop: int) -> int:
        """Counts the means that are formed at the steps `start <= step < stop`."""
        first = self.agreement.clause_start + self.offset
        before, until = (-(-(step - first) // self.every) for step in (start, stop))
        return until - before


def is_tight(agreement: Agreement) -> bool:
    """Whether the copies are equal after each step under an agreement."""
    gossips = isinstance(agreement.centralization, words.Gossip)
    return not gossips and isinstance(agreement.consistency, _TIGHT)
