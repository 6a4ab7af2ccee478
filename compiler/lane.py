"""The wire lane: means that are formed on devices of their own, beside the next steps.

An exchange whose mean is used later than it is formed need not keep anyone waiting.
XLA's CPU backend overlaps nothing within a program, and runs two programs on one device
one after the other. So the lane is a second mesh like the first, of other devices of
the same processes, and a step is cut up:

    ahead    the gradient, and exchanges of gradients up to the one on the lane
    across   on the lane: from what an exchange is offered to its mean
    behind   everything else, with means that were formed in earlier steps

What goes across is offered by `ahead` (gradients) or `behind` (parameters), and
awaited by the `behind` of the step that uses it. The numbers are those of the step in
one piece.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import jax
from jax.sharding import PartitionSpec

from diamond.compiler.agreements import Active, Part
from diamond.compiler.exchange.contract import Leaves, Mixer, Tree
from diamond.compiler.ground import Ground
from diamond.compiler.member import (
    Values,
    differentiated,
    exchanged,
    finished,
    of,
    scattered,
)
from diamond.compiler.plan import LANDING, Subject
from diamond.compiler.scopes import SCOPE
from diamond.compiler.state import Arrays, add_dims, drop_dims
from diamond.compiler.task import Batch
from diamond.compiler.variants import Due

Means = dict[str, Leaves]


class Ahead(NamedTuple):
    """What a step knows before it needs a mean.

    Attributes:
        leaves: Gradients, as they are offered to the lane if it takes any; each device
            has its own.
        rules: States of the rules of exchanges that are done.
        mixers: States of their mixers.
    """

    leaves: Leaves
    rules: dict[str, Tree]
    mixers: dict[str, Tree]


class Piece(NamedTuple):
    """A piece of a step: a function of global arrays, and where its results lie."""

    run: Callable[..., Any]
    made: Any


class Lane(NamedTuple):
    """The functions of steps that are cut up, over global arrays.

    Their `Arrays` lack the means on their way, and the states of the lane's mixers.

    Attributes:
        ground: Where the steps are computed.
        aside: The exchanges that cross on the lane, by name.
    """

    ground: Ground
    aside: dict[str, Part]

    def offered(self, due: Due, subject: Subject) -> dict[str, int]:
        """Returns the exchanges that are offered something at a step, with turns."""
        return {
            name: turn
            for name, turn in sorted(due)
            if name in self.aside
            and turn != LANDING
            and self.aside[name].exchange.subject == subject
        }

    def used(self, due: Due) -> list[str]:
        """Returns the exchanges whose oldest mean is used at a step."""
        return sorted(
            name
            for name, turn in due
            if name in self.aside
            and (turn == LANDING or not self.aside[name].rule.late)
        )

    def ahead(self, due: Due) -> Piece:
        """Returns (arrays, batch) -> (what is ahead, one loss a share)."""
        ground, active = self.ground, self.ground.active(due)
        before, _ = self._split(active)
        made = (self._of_ahead(before), ground.placing.losses)

        def body(arrays: Arrays, batch: Batch) -> tuple[Ahead, Any]:
            local, shards = ground.drop_copies(arrays), ground.shards
            loss, gradients = differentiated(local, batch, shards, active)
            values = scattered(local, gradients, shards)
            values = exchanged(values, local, shards, before)
            done = ground.add_copies(local._replace(**self._done(values, before)))
            losses = loss.reshape((1,) * len(ground.placing.losses))
            leaves = add_dims(values.leaves, self._dims)
            return Ahead(leaves, done.rules, done.mixers), losses

        def run(arrays: Arrays, batch: Batch) -> tuple[Ahead, Any]:
            given = (self._specs, ground.placing.of_batch(batch))
            return ground.mapped(body, given, made)(arrays, batch)  # type: ignore[no-any-return]

        return Piece(run, made)

    def behind(self, due: Due) -> Piece:
        """Returns (arrays, what is ahead, means that are used) -> (arrays, offers)."""
        ground, active = self.ground, self.ground.active(due)
        before, _ = self._split(active)
        offered = self.offered(due, "parameters")
        empty: dict[str, Tree] = {part.memory: () for part in self.aside.values()}

        def body(arrays: Arrays, ahead: Ahead, means: Means) -> tuple[Arrays, Means]:
            local = ground.drop_copies(_with(arrays, ahead))
            arrived = {name: drop_dims(means[name], self._num(name)) for name in means}
            aboard = self._aboard(active, arrived)
            leaves = drop_dims(ahead.leaves, self._dims)
            values = Values(leaves, local.rules, {**local.mixers, **empty})
            after = of(aboard, "gradients")[len(before) :]
            values = exchanged(values, local, ground.shards, after)
            local = finished(values, local, ground.task, ground.shards, aboard)
            sent = {name: local.mixers[self.aside[name].memory] for name in offered}
            kept = local._replace(mixers=self.without(local.mixers))
            return ground.add_copies(kept), add_dims(sent, self._dims)

        given = (self._specs, self._of_ahead(before), self._of_means(self.used(due)))
        made = (self._specs, dict.fromkeys(offered, self.each))
        return Piece(ground.mapped(body, given, made), made)

    def across(self, name: str, turn: int) -> Piece:
        """Returns (what is offered, the mixer's state) -> (the mean, its state)."""
        part = self.aside[name]
        num, spec = len(self.ground.layout.mixers[part.memory]), self.held[part.memory]

        def body(offered: Leaves, state: Tree) -> tuple[Leaves, Tree]:
            leaves, mine = drop_dims(offered, self._dims), drop_dims(state, num)
            with jax.named_scope(f"{SCOPE}{name}"):
                mean, mine = part.mixer.mean(leaves, mine, turn)
            return add_dims(mean, self._num(name)), add_dims(mine, num)

        made = (self._of_means([name])[name], spec)
        return Piece(self.ground.mapped(body, (self.each, spec), made), made)

    def is_in_one_piece(self, due: Due) -> bool:
        """Whether a step is not cut up: its state is on the lane.

        Phases of a schedule share what their codec remembers, and it lies on the lane.
        """
        active = [part for part, _ in self.ground.active(due)]
        others = [part for part in active if part.exchange.name not in self.aside]
        return any(part.memory in self.held for part in others)

    @property
    def held(self) -> dict[str, PartitionSpec]:
        """Where the states of the lane's mixers lie, by their key."""
        there = {part.memory for part in self.aside.values()}
        specs = self.ground.placing.arrays.mixers
        return {key: spec for key, spec in specs.items() if key in there}

    def without(self, mixers: dict[str, Tree]) -> dict[str, Tree]:
        """Returns the states of the mixers that are not on the lane."""
        held = self.held
        return {key: state for key, state in mixers.items() if key not in held}

    @property
    def each(self) -> PartitionSpec:
        """Where arrays lie of which each device has its own."""
        return PartitionSpec(*(axis.name for axis in self.ground.plan.axes))

    @property
    def _dims(self) -> int:
        return len(self.ground.plan.axes)

    def _num(self, name: str) -> int:
        return len(self.ground.layout.rules[self.aside[name].clause])

    @property
    def _specs(self) -> Arrays:
        specs = self.ground.placing.arrays
        return specs._replace(mixers=self.without(specs.mixers))

    def _of_means(self, names: Iterable[str]) -> dict[str, PartitionSpec]:
        specs = self.ground.placing.arrays.rules
        return {name: specs[self.aside[name].clause] for name in names}

    def _of_ahead(self, before: Active) -> Ahead:
        leaves: Any = self.each
        return Ahead(leaves, **self._done(self.ground.placing.arrays, before))

    def _done(
        self, held: Values | Arrays, before: Active
    ) -> dict[str, dict[str, Tree]]:
        """Returns what exchanges before the lane's have, and strategies' codecs."""
        memories = {part.memory for part in self.ground.parts}
        changed = {part.memory for part, _ in before} | (set(held.mixers) - memories)
        return {
            "rules": {part.clause: held.rules[part.clause] for part, _ in before},
            "mixers": {k: state for k, state in held.mixers.items() if k in changed},
        }

    def _split(self, active: Active) -> tuple[Active, Active]:
        """Returns the exchanges of gradients before the lane's, and the others."""
        inner = of(active, "gradients")
        names = [part.exchange.name in self.aside for part, _ in inner]
        at = names.index(True) if any(names) else len(inner)
        return inner[:at], inner[at:]

    def _aboard(self, active: Active, arrived: Means) -> Active:
        return [
            (_offering(part, arrived.get(name)) if name in self.aside else part, turn)
            for part, turn in active
            for name in [part.exchange.name]
        ]


def _with(arrays: Arrays, ahead: Ahead) -> Arrays:
    return arrays._replace(
        rules={**arrays.rules, **ahead.rules}, mixers={**arrays.mixers, **ahead.mixers}
    )


def _offering(part: Part, arrived: Leaves | None) -> Part:
    """Returns a part that forms no mean: its mixer's state is what it is offered."""
    rule, flight = part.rule, part.rule.flight
    assert flight is not None
    means = () if arrived is None else (arrived,)
    aloft = flight._replace(
        lift=lambda state: (means, state), put=lambda means, state: state
    )

    def accept(
        values: Leaves, offered: Leaves, x: Leaves, state: Tree
    ) -> tuple[Leaves, Tree]:
        if rule.late:
            return values, state
        assert flight is not None and arrived is not None
        return flight.use(values, arrived, state)

    return part._replace(
        rule=rule._replace(accept=accept, flight=aloft),
        mixer=part.mixer._replace(mean=lambda leaves, state, turn: (leaves, leaves)),
    )


def parts_aside(parts: tuple[Part, ...]) -> dict[str, Part]:
    """Returns the exchanges that can cross on a lane, by name.

    Their means are used later than they are formed. Exchanges of one clause cross
    together or not at all; of those of gradients, the ones over the outermost axis.
    """
    able = [part for part in parts if _is_able(part)]
    gradients = [
        part.wire.axis for part in able if part.exchange.subject == "gradients"
    ]
    aside = [
        part
        for part in able
        if part.exchange.subject == "parameters" or part.wire.axis == gradients[-1]
    ]
    left = {part.clause for part in parts if part not in aside}
    return {part.exchange.name: part for part in aside if part.clause not in left}


def _is_able(part: Part) -> bool:
    return (
        part.rule.flight is not None
        and part.wire.size > 1
        and part.mixer.server is None
        and part.mixer.follow is Mixer._field_defaults["follow"]
    )
