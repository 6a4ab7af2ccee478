"""From the reference engine's state to a program's, to step both from one state."""

from typing import Any, NamedTuple

import jax
import numpy as np

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.exchange.centralization.allreduce import Feedback
from diamond.compiler.exchange.consistency.local import LocalState
from diamond.compiler.exchange.outer.nesterov import NesterovState
from diamond.compiler.program import Program
from diamond.compiler.state import State, layout_of
from diamond.runtime.engines.reference import ReferenceEngine, ReferenceState
from diamond.runtime.engines.reference.vectors import unflatten


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
    layout, parts = layout_of(plan), parts_of(plan)

    def copies(of_member: Any, axes: tuple[str, ...]) -> Any:
        trees = [of_member(member) for member in range(plan.members)]
        return _stacked(pair.program, trees, axes)

    return State(
        np.asarray(reference.step, np.int32),
        copies(lambda m: reference.params[m], layout.copies),
        copies(lambda m: reference.optimizer[m], layout.copies),
        {
            part.clause: copies(
                lambda m, part=part: _rule(pair, part, reference, m), layout.copies
            )
            for part in parts
        },
        {
            part.exchange.name: copies(
                lambda m, part=part: _mixer(pair, part, reference, m),
                layout.mixers[part.exchange.name],
            )
            for part in parts
        },
    )


def _stacked(program: Program, trees: list[Any], axes: tuple[str, ...]) -> Any:
    """Stacks one tree a member into leading dims for the axes that differ."""
    sizes = tuple(axis.size for axis in program.plan.axes)
    where = tuple(slice(None) if axis.name in axes else 0 for axis in program.plan.axes)
    chosen = np.arange(len(trees)).reshape(sizes)[where]

    def stack(*leaves: Any) -> np.ndarray:
        picked = [np.asarray(leaves[m]) for m in np.ravel(chosen)]
        return np.stack(picked).reshape(np.shape(chosen) + picked[0].shape)

    return jax.tree.map(stack, *trees)


def _axis(pair: Pair, part: Part) -> int:
    names = [axis.name for axis in pair.engine.axes]
    return names.index(part.exchange.agreement.axis)


def _rule(pair: Pair, part: Part, reference: ReferenceState, member: int) -> Any:
    if part.exchange.subject == "gradients":
        return ()
    like = reference.params[member]
    fresh = jax.eval_shape(part.rule.init, like)
    rule = reference.rules[_axis(pair, part)][part.exchange.agreement.clause]
    if fresh.anchor is None:
        return LocalState(None, ())
    anchor = unflatten(rule.anchor[member], like)
    if fresh.outer == ():
        return LocalState(anchor, ())
    return LocalState(anchor, NesterovState(unflatten(rule.momentum[member], like)))


def _mixer(pair: Pair, part: Part, reference: ReferenceState, member: int) -> Any:
    fresh = jax.eval_shape(part.mixer.init, reference.params[member])
    if not isinstance(fresh, Feedback):
        return ()
    axis = _axis(pair, part)
    clause = pair.engine.axes[axis].at(part.exchange.agreement.start).index
    left = reference.residuals[axis][clause][member]
    worker = None if fresh.worker is None else left.worker
    server = None if fresh.server is None else left.server
    return Feedback(worker, server)
