"""The reference engine: one step of a scheme, member by member.

With g_i the gradient of the mean loss of member i's share of the batch at its own
parameters x_i, a step is
    1. for each axis whose rule is `local` and begins here: anchor_i <- x_i
    2. g_i, at x_i
    3. from the innermost axis outwards, for each synchronous axis:
       g_i <- exchange of g over the axis
    4. x_i <- x_i + the optimizer's update for g_i
    5. from the innermost axis outwards, for each `local` axis that is due:
       x_i <- exchange of x over the axis, by its outer step
    6. for each of those axes: anchor_i <- x_i

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
from diamond.dsl.vocabulary import Scheme, Synchronous
from diamond.runtime.engines.reference import (
    compute,
    exchange,
    members,
    replicas,
    vectors,
)
from diamond.runtime.engines.reference.state import (
    ReferenceState,
    Residual,
    Rule,
    Tree,
    Vector,
)
from diamond.runtime.engines.reference.timeline import ReplicaAxis, axes_of

Batch = Mapping[str, Any]


class ReferenceEngine:
    """Runs a scheme by its equations, one member after another.

    Attributes:
        scheme: The scheme.
        task: What is trained.
        axes: The replica axes, from the outermost.
        sizes: Members along each replica axis.
        num_members: Members in all.

    Raises:
        ValueError: If the scheme asks for something without a meaning here, or for
            fp64 where JAX has it switched off.
    """

    def __init__(self, scheme: Scheme, task: Task) -> None:
        if scheme.train.precision == "fp64" and not compute.has_fp64():
            raise ValueError("precision fp64 needs `jax_enable_x64`")
        self.scheme = scheme
        self.task = task
        self.axes = axes_of(scheme)
        self.sizes = tuple(axis.size for axis in self.axes)
        self.num_members = math.prod(self.sizes)
        self._has_stepped = False

    def init(self, key: jax.Array) -> ReferenceState:
        """Returns the state before the first step: all members start equal."""
        return self.initial_from(compute.compiled(self.task.init)(key))

    def initial_from(self, params: Any) -> ReferenceState:
        """Returns the state before the first step, from given parameters."""
        return self.from_members([params] * self.num_members)

    def from_members(
        self,
        params: Sequence[Any],
        *,
        step: int = 0,
        optimizer: Sequence[Any] | None = None,
        rules: tuple[tuple[Rule | None, ...], ...] | None = None,
        residuals: tuple[tuple[tuple[Residual, ...], ...], ...] | None = None,
    ) -> ReferenceState:
        """Builds a state from its parts; what is not given is as at the start.

        Args:
            params: A parameter tree a member.
            step: Steps taken so far.
            optimizer: An optax state a member.
            rules: Anchors and momenta by axis and phase of consistency; where not
                given, the members have just met where they are.
            residuals: Residuals by axis, clause and member.
        """
        if len(params) != self.num_members:
            raise ValueError(f"{self.num_members} members, not {len(params)}")
        trees = tuple(compute.as_numpy(tree) for tree in params)
        if optimizer is None:
            begin = compute.compiled(self.task.optimizer.init)
            optimizer = [begin(tree) for tree in trees]
        flat = tuple(vectors.flatten(tree) for tree in trees)
        if rules is None:
            rules = tuple(replicas.rules_at(axis, flat) for axis in self.axes)
        if residuals is None:
            sizes = vectors.sizes_of(trees[0])
            residuals = tuple(
                replicas.no_residuals(axis, flat, sizes) for axis in self.axes
            )
        return ReferenceState(step, trees, tuple(optimizer), rules, residuals)

    def step(
        self, state: ReferenceState, batch: Batch
    ) -> tuple[ReferenceState, dict[str, NDArray[Any]]]:
        """Takes one step; the given state is left as it was.

        Returns:
            The next state, and `loss`: each member's mean loss before the update, as
            an array with one dim a replica axis.
        """
        clauses = [(axis, axis.at(state.step)) for axis in self.axes]
        beginning = [axis for axis, now in clauses if now.begins(state.step)]
        due = [axis for axis, now in clauses if now.is_due(state.step)]
        state = replicas.set_anchors(state, beginning)
        losses, gradients = self._differentiate(state, batch)
        gradients, state = _exchange_gradients(self.axes, state, gradients)
        state = self._update_members(state, gradients)
        for axis in reversed(due):
            state = replicas.meet(axis, state)
        state = replicas.set_anchors(state, due)
        self._has_stepped = True
        metrics = {"loss": np.array(losses).reshape(self.sizes)}
        return state._replace(step=state.step + 1), metrics

    def is_compiled(self, state: ReferenceState) -> bool:
        """Whether the next step runs without compiling first."""
        return self._has_stepped

    def evaluate(self, state: ReferenceState, batch: Batch) -> dict[str, float]:
        """Returns the task's metrics over a batch, at the average parameters."""
        measure = compute.compiled(self.task.measure)
        measured = measure(self.consolidated(state), dict(batch))
        means = {
            name: float(np.mean(np.asarray(values), dtype=np.float64))
            for name, values in measured.items()
        }
        return self.task.report(means)

    def member_parameters(self, state: ReferenceState, member: int) -> Tree:
        """Returns the parameters of one member."""
        return state.params[member]

    def consolidated(self, state: ReferenceState) -> Tree:
        """Returns the average of the members' parameters."""
        flat = [vectors.flatten(tree) for tree in state.params]
        return vectors.unflatten(exchange.average(flat), state.params[0])

    def _differentiate(
        self, state: ReferenceState, batch: Batch
    ) -> tuple[list[Any], list[Vector]]:
        losses, gradients = [], []
        differentiate = compute.value_and_gradient(self.task.loss)
        shares = members.shares(batch, self.num_members)
        for x, share in zip(state.params, shares, strict=True):
            loss, gradient = differentiate(x, share)
            losses.append(np.asarray(loss))
            gradients.append(vectors.flatten(compute.as_numpy(gradient)))
        return losses, gradients

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
        return state._replace(params=params, optimizer=tuple(o for _, o in stepped))


def _exchange_gradients(
    axes: tuple[ReplicaAxis, ...], state: ReferenceState, gradients: list[Vector]
) -> tuple[list[Vector], ReferenceState]:
    for axis in reversed(axes):
        if isinstance(axis.at(state.step).consistency, Synchronous):
            gradients, state = replicas.exchange_over(axis, state, gradients)
    return gradients, state
