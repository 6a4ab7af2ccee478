"""Overlap: the compiled functions of a program with a wire lane, and what goes between.

Each device has a twin on the lane, of the same process. What is handed over is copied
from the one to the other, array by array as it lies, as soon as it is there.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding

from diamond.compiler.compat import compiler_options
from diamond.compiler.exchange.contract import Leaves, Tree
from diamond.compiler.executables import (
    BatchShapes,
    Executables,
    placed_at,
    shardings_of,
)
from diamond.compiler.lane import Ahead, Lane, Means, Piece, parts_aside
from diamond.compiler.plan import Plan, Subject
from diamond.compiler.state import Arrays
from diamond.compiler.task import Batch, Task
from diamond.compiler.variants import Due

Waiting = dict[str, tuple[Leaves, ...]]
Twins = Mapping[jax.Device, jax.Device]


class Overlapped(Executables):
    """The compiled functions of a program whose late means are formed on a lane.

    The states of the lane's mixers lie on the lane.
    """

    def __init__(
        self, plan: Plan, task: Task, mesh: Mesh, twin: Mesh, shapes: BatchShapes
    ) -> None:
        super().__init__(plan, task, mesh, shapes)
        aside = parts_aside(self._ground.parts)
        self._here = Lane(self._ground, aside)
        self._there = self._here._replace(ground=self._ground._replace(mesh=twin))
        self._twin = twin
        self._over = dict(zip(mesh.devices.flat, twin.devices.flat, strict=True))
        self._back = {there: here for here, there in self._over.items()}
        self._made: dict[Any, Any] = {}

    def init(self, key: jax.Array) -> Arrays:
        """Returns the state before the first step."""
        return self._with_mixers(super().init(key), self._twin, self._over)

    def begin(self, arrays: Arrays, exchanges: frozenset[str]) -> Arrays:
        """Readies the state for exchanges whose agreements begin."""
        together = self._with_mixers(arrays, self._mesh, self._back)
        begun = super().begin(together, exchanges)
        return self._with_mixers(begun, self._twin, self._over)

    def run(self, due: Due, arrays: Arrays, batch: Batch) -> tuple[Arrays, jax.Array]:
        """Takes the step for the exchanges that are due; the arrays are used up."""
        lane = self._here
        if lane.is_in_one_piece(due):
            together = self._with_mixers(arrays, self._mesh, self._back)
            whole, loss = super().run(due, together, batch)
            return self._with_mixers(whole, self._twin, self._over), loss
        lifted, waiting = self._lifted(arrays)
        ahead, loss = self._ahead(due)(lifted, batch)
        taken = lane.offered(due, "gradients")
        formed, mixers = self._formed(taken, dict.fromkeys(taken, ahead.leaves), arrays)
        used = {name: waiting[lane.aside[name].clause][0] for name in lane.used(due)}
        rest, offers = self._behind(due)(lifted, ahead, used)
        more, others = self._formed(lane.offered(due, "parameters"), offers, arrays)
        held = {key: arrays.mixers[key] for key in lane.held} | mixers | others
        rest = rest._replace(mixers={**rest.mixers, **held})
        return self._lowered(rest, waiting, formed | more), loss

    def is_compiled(self, due: Due) -> bool:
        """Whether the step for the exchanges that are due is compiled."""
        return ("behind", due) in self._made or super().is_compiled(due)

    def pieces(self, due: Due) -> tuple[Any, ...]:
        """Returns what is compiled for a step."""
        if self._here.is_in_one_piece(due):
            return super().pieces(due)
        subjects: tuple[Subject, ...] = ("gradients", "parameters")
        turns = [t for s in subjects for t in self._here.offered(due, s).items()]
        across = [self._across(name, turn) for name, turn in turns]
        return (self._ahead(due), self._behind(due), *across)

    @cached_property
    def arrays(self) -> Arrays:
        """Shapes, element types and shardings of a state's arrays."""
        arrays = self.whole
        held = {key: arrays.mixers[key] for key in self._here.held}
        there = placed_at(held, self._here.held, self._twin)
        return arrays._replace(mixers={**arrays.mixers, **there})

    def _lifted(self, arrays: Arrays) -> tuple[Arrays, Waiting]:
        """Takes the means on their way, and the lane's mixers, out of a state."""
        waiting: Waiting = {}
        rules = dict(arrays.rules)
        for part in self._here.aside.values():
            if part.clause not in waiting:
                assert part.rule.flight is not None
                lifted = part.rule.flight.lift(rules[part.clause])
                waiting[part.clause], rules[part.clause] = lifted
        mixers = self._here.without(arrays.mixers)
        return arrays._replace(rules=rules, mixers=mixers), waiting

    def _lowered(self, arrays: Arrays, waiting: Waiting, formed: Means) -> Arrays:
        """Puts the means on their way back, with those that set out in this step."""
        rules, means = dict(arrays.rules), dict(waiting)
        for name, mean in formed.items():
            clause = self._here.aside[name].clause
            means[clause] = (*waiting[clause][1:], mean)
        flights = {p.clause: p.rule.flight for p in self._here.aside.values()}
        for clause, flight in flights.items():
            assert flight is not None
            rules[clause] = flight.put(means[clause], rules[clause])
        return arrays._replace(rules=rules)

    def _formed(
        self, turns: dict[str, int], offers: Means, arrays: Arrays
    ) -> tuple[Means, dict[str, Tree]]:
        """Hands what is offered to the lane; returns the means and mixers to come."""
        means: Means = {}
        mixers: dict[str, Tree] = {}
        for name, turn in turns.items():
            memory = self._here.aside[name].memory
            offered = _carried(offers[name], self._twin, self._over)
            state = arrays.mixers[memory]
            mean, mixers[memory] = self._across(name, turn)(offered, state)
            means[name] = _carried(mean, self._mesh, self._back)
        return means, mixers

    def _with_mixers(self, arrays: Arrays, mesh: Mesh, twins: Twins) -> Arrays:
        held = {key: arrays.mixers[key] for key in self._here.held}
        moved = _carried(held, mesh, twins)
        return arrays._replace(mixers={**arrays.mixers, **moved})

    def _ahead(self, due: Due) -> Any:
        key = ("ahead", due)
        if key in self._made:
            return self._made[key]
        lifted, _ = self._lifted(self.arrays)
        piece = self._here.ahead(due)
        return self._compiled(key, piece, self._mesh, lifted, self.batch)

    def _behind(self, due: Due) -> Any:
        key = ("behind", due)
        if key in self._made:
            return self._made[key]
        piece, given = self._here.behind(due), self._behind_given(due)
        return self._compiled(key, piece, self._mesh, *given, donate=(0,))

    def _across(self, name: str, turn: int) -> Any:
        key = ("across", name, turn)
        if key in self._made:
            return self._made[key]
        part, each = self._here.aside[name], self._here.each
        due = frozenset([(name, turn)])
        given = self._behind_given(due)
        offered = given[1].leaves
        if part.exchange.subject == "parameters":
            offered = jax.eval_shape(self._here.behind(due).run, *given)[1][name]
        there = placed_at(offered, each, self._twin)
        state = self.arrays.mixers[part.memory]
        return self._compiled(
            key, self._there.across(name, turn), self._twin, there, state
        )

    def _behind_given(self, due: Due) -> tuple[Arrays, Ahead, Means]:
        """Returns shapes and shardings of what the last piece of a step is given."""
        lifted, waiting = self._lifted(self.arrays)
        piece = self._here.ahead(due)
        shapes = jax.eval_shape(piece.run, lifted, self.batch)[0]
        ahead: Ahead = placed_at(shapes, piece.made[0], self._mesh)
        clauses = {name: part.clause for name, part in self._here.aside.items()}
        used = {name: waiting[clauses[name]][0] for name in self._here.used(due)}
        return lifted, ahead, used

    def _compiled(
        self, key: Any, piece: Piece, mesh: Mesh, *given: Any, donate: Any = ()
    ) -> Any:
        out = shardings_of(mesh, piece.made)
        run = jax.jit(piece.run, donate_argnums=donate, out_shardings=out)
        lowered = run.lower(*given)
        self._made[key] = lowered.compile(compiler_options=compiler_options())
        return self._made[key]


def _carried(tree: Tree, mesh: Mesh, twins: Twins) -> Tree:
    """Copies arrays to the twins of their devices, lying there as they lie here."""

    def carried(array: jax.Array) -> jax.Array:
        assert isinstance(array.sharding, NamedSharding)
        there = NamedSharding(mesh, array.sharding.spec)
        pieces = [
            jax.device_put(piece.data, twins[piece.device])
            for piece in array.addressable_shards
        ]
        return jax.make_array_from_single_device_arrays(array.shape, there, pieces)

    return jax.tree.map(carried, tree)
