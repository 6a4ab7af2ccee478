"""The reference engine: one step of a scheme, member by member.

With x_i the parameters of member i, a step is
    1. for each axis whose rule begins here: what the rule remembers, at x_i
    2. g_i, the gradient of the mean loss of member i's share of the batch, at x_i or
       where the rule of an axis looks back to; with a mixture of experts, the mean of
       the gradients of the parts of it that are routed apart; with a code under `zero`,
       the mean of what the devices of the copy send to the owners of its shards
    3. from the innermost axis outwards: what the rule of the axis makes of g
    4. x_i <- x_i + the optimizer's update for g_i
    5. from the innermost axis outwards: what the rule of the axis makes of x
    6. what rules have to do when all axes are done, such as setting anchors, and
       when an axis outside has moved the members

JAX computes the gradient of the unsharded model and the optimizer's update, for one
member at a time on one device. Everything between members is NumPy.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from diamond.compiler.task import Task
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.engines.reference import (
    beginning,
    compute,
    ensembles,
    members,
    replicas,
    scattering,
    stages,
    variance,
    vectors,
)
from diamond.runtime.engines.reference.consistency import are_moved, rule_of
from diamond.runtime.engines.reference.meeting import average
from diamond.runtime.engines.reference.shards import cutter_of, names_of, shares_of
from diamond.runtime.engines.reference.state import (
    OfMembers,
    ReferenceState,
    Tree,
    Vector,
)
from diamond.runtime.engines.reference.timeline import axes_of

Batch = Mapping[str, Any]


class ReferenceEngine:
    """Runs a scheme by its equations, one member after another.

    Attributes:
        scheme: The scheme.
        task: What is trained.
        axes: The replica axes, from the outermost.
        scattering: How gradients go to the owners of shards in a code, or None.
        sizes: Members along each replica axis.
        num_members: Members in all.
        ensemble: The axis whose members train alone, or None.
        num_models: Models that never agree: one, or the members of an ensemble.

    Raises:
        ValueError: If the scheme asks for something without a meaning here, or for
            fp64 where JAX has it switched off.
    """

    def __init__(self, scheme: Scheme, task: Task) -> None:
        if scheme.train.precision == "fp64" and not compute.has_fp64():
            raise ValueError("precision fp64 needs `jax_enable_x64`")
        self.scheme = scheme
        self.task = task
        cutter = cutter_of(scheme, names_of(task.dims))
        self.axes = axes_of(scheme, cutter)
        self.scattering = scattering.scattering_of(scheme, cutter)
        self.sizes = tuple(axis.size for axis in self.axes)
        self.num_members = math.prod(self.sizes)
        self.ensemble = ensembles.axis_of(self.axes)
        self.num_models = self.ensemble.size if self.ensemble else 1
        self._has_stepped = False

    def init(self, key: jax.Array) -> ReferenceState:
        """Returns the state before the first step.

        All members start equal, but those of an ensemble, which draw their own.
        """
        init = compute.compiled(self.task.init)
        if self.ensemble is None:
            return self.initial_from(init(key))
        keys = [jax.random.fold_in(key, place) for place in range(self.num_models)]
        trees = [init(each) for each in keys for _ in range(self.ensemble.inside)]
        return self.from_members(trees)

    def initial_from(self, params: Any) -> ReferenceState:
        """Returns the state before the first step, from given parameters."""
        return self.from_members([params] * self.num_members)

    def from_members(
        self,
        params: Sequence[Any],
        *,
        step: int = 0,
        optimizer: Sequence[Any] | None = None,
        **memories: Any,
    ) -> ReferenceState:
        """Builds a state from its parts; what is not given is as at the start.

        Args:
            params: A parameter tree a member.
            step: Steps taken so far.
            optimizer: An optax state a member.
            memories: The `rules`, `codecs`, `push_sums` and `scattered` of a state;
                where one is not given, all phases are as if they began where the
                members are.
        """
        if len(params) != self.num_members:
            raise ValueError(f"{self.num_members} members, not {len(params)}")
        trees = tuple(compute.as_numpy(tree) for tree in params)
        if optimizer is None:
            begin = compute.compiled(self.task.optimizer.init)
            optimizer = [begin(tree) for tree in trees]
        held = beginning.memories(self.axes, trees)
        if self.scattering is not None:
            begun = (scattering.start(self.scattering, tree) for tree in trees)
            held["scattered"] = tuple(begun)
        held |= memories
        return ReferenceState(step, trees, tuple(optimizer), **held)

    def step(
        self, state: ReferenceState, batch: Batch
    ) -> tuple[ReferenceState, dict[str, NDArray[Any]]]:
        """Takes one step; the given state is left as it was.

        Returns:
            The next state, and `loss`: each member's mean loss before the update,
            where it took its gradient, as an array with one dim a replica axis.
        """
        rules = [(axis, rule_of(axis.at(state.step))) for axis in self.axes]
        inside_out = list(reversed(rules))
        state = beginning.begin(self.axes, state)
        seen = replicas.positions(state)
        for axis, rule in rules:
            seen = rule.view(axis, state, seen)
        losses, gradients, scattered = self._differentiate(state, seen, batch)
        state = state._replace(scattered=scattered)
        for axis, rule in inside_out:
            gradients, state = rule.gradients(axis, state, gradients)
        state = self._update_members(state, gradients)
        for axis, rule in inside_out:
            state = rule.parameters(axis, state)
        for axis, rule in inside_out:
            state = rule.finish(axis, state, self.task.optimizer)
        for axis, rule in inside_out:
            outside = self.axes[: axis.index]
            if any(are_moved(each, state.step) for each in outside):
                state = rule.moved(axis, state)
        self._has_stepped = True
        metrics = {"loss": np.array(losses).reshape(self.sizes)}
        return state._replace(step=state.step + 1), metrics

    def is_compiled(self, state: ReferenceState) -> bool:
        """Whether the next step runs without compiling first."""
        return self._has_stepped

    def evaluate(self, state: ReferenceState, batch: Batch) -> dict[str, float]:
        """Returns the task's metrics over a batch, at the average parameters.

        Of an ensemble, those of what its members predict together.
        """
        models = self.models(state)
        if self.ensemble is None:
            measure = compute.compiled(self.task.measure)
            measured = measure(models[0], dict(batch))
        else:
            [term] = self.ensemble.rules
            measured = ensembles.measured(self.task, models, dict(batch), term)
        means = {
            name: float(np.mean(np.asarray(values), dtype=np.float64))
            for name, values in measured.items()
        }
        return self.task.report(means)

    def member_parameters(self, state: ReferenceState, member: int) -> Tree:
        """Returns the parameters of one member."""
        return state.params[member]

    def consolidated(self, state: ReferenceState) -> Tree:
        """Returns the average of the members' parameters.

        Raises:
            ValueError: If they are an ensemble, whose parameters have no average.
        """
        if self.ensemble is not None:
            raise ValueError("an ensemble has many models: see `models`")
        return self.models(state)[0]

    def models(self, state: ReferenceState) -> list[Tree]:
        """Returns the average of the members' parameters, for each member of an
        ensemble its own.
        """
        here, inside = replicas.positions(state), self.num_members // self.num_models
        return [
            vectors.unflatten(average(here[i : i + inside]), state.params[0])
            for i in range(0, self.num_members, inside)
        ]

    def _differentiate(
        self, state: ReferenceState, seen: Sequence[Vector], batch: Batch
    ) -> tuple[list[Any], list[Vector], OfMembers]:
        losses, gradients, lost = [], [], []
        shares = members.shares(batch, self.num_members)
        for member, (x, share) in enumerate(zip(seen, shares, strict=True)):
            params = vectors.unflatten(x, state.params[member])
            parts = members.shares(share, shares_of(self.scheme))
            found = [self._differentiate_part(params, part) for part in parts]
            of_parts, of_x = zip(*found, strict=True)
            gradient, left = self._joined(state, member, of_x)
            losses.append(compute.mean(of_parts))
            gradients.append(gradient)
            lost.append(left)
        return losses, gradients, tuple(lost) if self.scattering else ()

    def _joined(
        self, state: ReferenceState, member: int, found: Sequence[Vector]
    ) -> tuple[Vector, Any]:
        """Returns a copy's gradient from those of parts of its share."""
        how = self.scattering
        if how is None:
            return compute.mean(found), None
        return scattering.mean(
            how,
            scattering.of_devices(how, self.scheme, found),
            state.scattered[member],
            state.params[member],
            count=state.step,
            member=member,
        )

    def _differentiate_part(self, params: Tree, part: Batch) -> tuple[Any, Vector]:
        differentiate = compute.value_and_gradient(self.task.loss)
        loss, gradient = differentiate(params, part)
        return np.asarray(loss), vectors.flatten(compute.as_numpy(gradient))

    def _update_members(
        self, state: ReferenceState, gradients: list[Vector]
    ) -> ReferenceState:
        update = compute.optimizer_step(self.task.optimizer)
        trees = [
            vectors.unflatten(g, x)
            for g, x in zip(gradients, state.params, strict=True)
        ]
        stepped = [
            update(*of_member)
            for of_member in zip(trees, state.optimizer, state.params, strict=True)
        ]
        params = tuple(compute.as_numpy(x) for x, _ in stepped)
        after = tuple(o for _, o in stepped)
        if self._has_frozen(state.step):
            b2 = stages.betas_of(self.scheme.train.optimizer)[1]
            pairs = zip(state.optimizer, after, strict=True)
            after = tuple(variance.frozen(b2, before, o) for before, o in pairs)
        return state._replace(params=params, optimizer=after)

    def _has_frozen(self, step: int) -> bool:
        clauses = [axis.at(step) for axis in self.axes]
        return any(
            stages.has_frozen(clause.compression, clause.count(step))
            for clause in clauses
        )
