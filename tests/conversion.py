"""From the reference engine's state to a program's, to step both from one state.

The two keep the same memories in different forms: the reference a flat vector or a
leaf a member, the program leaves with leading dims. What the program counts, the
reference derives from the step.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from diamond.compiler.agreements import Part, part_of, parts_of
from diamond.compiler.exchange.wire import Outer, Tape, Wire
from diamond.compiler.program import Program
from diamond.compiler.state import State, layout_of
from diamond.runtime.engines.reference import ReferenceEngine, ReferenceState
from diamond.runtime.engines.reference.vectors import unflatten
from tests.memories import CODECS, RULES, Place


class Pair(NamedTuple):
    """A program and the reference engine of one scheme."""

    program: Program
    engine: ReferenceEngine


def placed(pair: Pair, reference: ReferenceState) -> State:
    """Puts a reference state on the program's devices."""
    arrays = jax.tree.map(
        lambda leaf, like: jax.device_put(np.asarray(leaf, like.dtype), like.sharding),
        tuple(converted(pair, reference)[1:]),
        tuple(pair.program.executables.arrays),
    )
    return State(np.asarray(reference.step, np.int32), *arrays)


def converted(pair: Pair, reference: ReferenceState) -> State:
    """Returns a reference state as a program's state, of NumPy arrays."""
    plan = pair.program.plan
    parts = parts_of(plan)
    layout = layout_of(plan, parts)

    def copies(of_member: Callable[[int], Any], axes: tuple[str, ...]) -> Any:
        trees = [of_member(member) for member in range(plan.members)]
        return _stacked(pair.program, trees, axes)

    rules, mixers = {}, {}
    for part in parts:
        rule = functools.partial(_rule, pair, part, reference)
        rules.setdefault(part.clause, copies(rule, layout.rules[part.clause]))
        mixer = functools.partial(_mixer, pair, part, reference)
        mixers.setdefault(part.memory, copies(mixer, layout.mixers[part.memory]))
    return State(
        np.asarray(reference.step, np.int32),
        copies(lambda m: reference.params[m], layout.params),
        copies(lambda m: _optimizer(pair, reference, m), layout.optimizer),
        rules,
        {**mixers, **_lost(pair, reference)},
    )


def _lost(pair: Pair, reference: ReferenceState) -> dict[str, Any]:
    """Returns what a codec under `zero` lost, where no other strategy cuts a copy."""
    how = pair.engine.scattering
    if how is None:
        return {}
    plan = pair.program.plan
    key = f"{how.axis}.zero"
    fresh = pair.program.executables.arrays.mixers[key]

    def of_devices(*residuals: Any) -> np.ndarray:
        return np.stack([each.worker for each in residuals])

    of_members = [[of_devices(*lost) for lost in cut] for [cut] in reference.scattered]
    stacked = [np.stack(each) for each in zip(*of_members, strict=True)]
    sizes = tuple(axis.size for axis in plan.axes)
    worker = tuple(
        None if like is None else each.reshape(*sizes, -1)
        for each, like in zip(stacked, fresh.worker, strict=True)
    )
    uses = fresh.uses and np.full(sizes, reference.step, np.uint32)
    return {key: type(fresh)(worker, uses)}


def _stacked(program: Program, trees: list[Any], axes: tuple[str, ...]) -> Any:
    """Stacks one tree a member into leading dims for the axes that differ."""
    whole = [axis for axis in program.plan.axes if axis.holds_copies]
    sizes = tuple(axis.size for axis in whole)
    where = tuple(slice(None) if axis.name in axes else 0 for axis in whole)
    chosen = np.arange(len(trees)).reshape(sizes)[where]

    def stack(*leaves: Any) -> np.ndarray:
        picked = [np.asarray(leaves[m]) for m in np.ravel(chosen)]
        return np.stack(picked).reshape(np.shape(chosen) + picked[0].shape)

    return jax.tree.map(stack, *trees)


def _axis(pair: Pair, part: Part) -> int:
    names = [axis.name for axis in pair.engine.axes]
    return names.index(part.exchange.agreement.axis)


def _place(pair: Pair, part: Part, reference: ReferenceState, member: int) -> Place:
    axis = pair.engine.axes[_axis(pair, part)]
    clause = axis.at(part.exchange.agreement.start)
    like = reference.params[member]
    values = jax.tree.leaves(like)
    return Place(
        fresh=None,
        step=reference.step,
        clause=clause,
        memory_ends=[c.start for c in axis.clauses if c.memory > clause.memory][:1],
        rule_ends=[c.start for c in axis.clauses if c.rule > clause.rule][:1],
        fragment=part.exchange.fragment,
        values=[values[place] for place in part.exchange.leaves],
        cut=lambda vector: _cut(vector, like, part),
        shard=_sharding(pair, part, member),
    )


def _cut(vector: Any, like: Any, part: Part) -> list[Any]:
    """Returns a flat vector of all parameters as the leaves of a part."""
    found = jax.tree.leaves(unflatten(vector, like))
    return [found[place] for place in part.exchange.leaves]


def _rule(pair: Pair, part: Part, reference: ReferenceState, member: int) -> Any:
    place = _place(pair, part, reference, member)
    like = [place.shard(place.values)] if part.mixer.server else place.values
    fresh = jax.eval_shape(part.rule.init, place.values, like)
    rules = reference.rules[_axis(pair, part)]
    kept = rules[part.exchange.agreement.clause][member]
    return RULES[type(fresh)](kept, place._replace(fresh=fresh))


def _mixer(pair: Pair, part: Part, reference: ReferenceState, member: int) -> Any:
    place = _place(pair, part, reference, member)
    fresh = jax.eval_shape(part.mixer.init, place.values)
    axis, clause = _axis(pair, part), place.clause
    kept = reference.codecs[axis][clause.memory][part.exchange.fragment][member]
    pushed = reference.push_sums[axis][clause.index][member]
    return CODECS[type(fresh)](kept, place._replace(fresh=fresh, pushed=pushed))


def _optimizer(pair: Pair, reference: ReferenceState, member: int) -> Any:
    """Returns a member's optimizer state; under a server, its shard of it."""
    serving = [part for part in parts_of(pair.program.plan) if part.mixer.server]
    state = reference.optimizer[member]
    if not serving:
        return state
    shard = _sharding(pair, serving[0], member)
    whole = jax.tree.structure(reference.params[member])

    def is_whole(node: Any) -> bool:
        return isinstance(node, dict) and jax.tree.structure(node) == whole

    def cut(node: Any) -> Any:
        return [shard(jax.tree.leaves(node))] if is_whole(node) else node

    return jax.tree.map(cut, state, is_leaf=is_whole)


def _sharding(pair: Pair, part: Part, member: int) -> Callable[[list[Any]], Any]:
    """Returns what cuts a member's shard out of leaves, for parts with a server."""
    sizes = tuple(axis.size for axis in pair.program.plan.axes)
    names = [axis.name for axis in pair.program.plan.axes]
    where = np.unravel_index(member, sizes)
    place = int(where[names.index(part.exchange.agreement.axis)])

    def wire_of(axis: str, size: int, outer: Outer) -> Wire:
        return Tape().wire(axis, size, outer)._replace(place=lambda: jnp.int32(place))

    server = part_of(pair.program.plan, part.exchange, wire_of).mixer.server

    def shard(values: list[Any]) -> Any:
        assert server is not None
        return np.asarray(server.own([jnp.asarray(value) for value in values]))

    return shard
