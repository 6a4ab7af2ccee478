"""A program: a scheme compiled for a mesh, ready to train."""

from collections import deque
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from diamond.compiler.certify import Certificate, certify
from diamond.compiler.executables import Executables, padded
from diamond.compiler.explain import explain
from diamond.compiler.feeding import put, rows_here
from diamond.compiler.parallelism.ensemble import ensemble_axis
from diamond.compiler.parallelism.sequence import zigzag
from diamond.compiler.plan import Plan
from diamond.compiler.state import Arrays, State
from diamond.compiler.task import Params, Task
from diamond.compiler.temporaries import with_temporaries
from diamond.compiler.variants import begun_at, due_at, variants_of
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import Scheme

MOST_ON_THEIR_WAY = 2


class Placed(dict[str, jax.Array]):
    """A batch on the devices, as `Program.shard` put it there."""


class Program:
    """A compiled scheme, made by `diamond.compile`.

    A state that was given to `step` is used up: its buffers become the new state's.

    Attributes:
        scheme: What was compiled.
        task: Model, loss and optimizer as pure functions.
        plan: What the program does.
        mesh: The devices.
        executables: The compiled functions.
    """

    def __init__(
        self,
        scheme: Scheme,
        task: Task,
        plan: Plan,
        mesh: Mesh,
        executables: Executables,
    ) -> None:
        self.scheme = scheme
        self.task = task
        self.plan = plan
        self.mesh = mesh
        self.executables = executables
        self._on_their_way: deque[jax.Array] = deque()

    def init(self, key: jax.Array) -> State:
        """Returns the state before the first step.

        Args:
            key: A key of `jax.random`; equal keys give equal bits.
        """
        return State(np.asarray(0, np.int32), *self.executables.init(key))

    def step(
        self, state: State, batch: Mapping[str, Any]
    ) -> tuple[State, dict[str, jax.Array]]:
        """Takes one training step.

        Args:
            state: The state; it is used up.
            batch: Arrays with the global batch as their first dim; one of several
                processes may give its `rows` alone.

        Returns:
            The next state, and `loss`: one loss a share of the batch, with one dim for
            each axis that splits it.

        Raises:
            ValueError: If the batch does not have the shapes and types that the
                program was compiled for, or the state was used up before.
        """
        done, arrays = int(state.step), Arrays(*state[1:])
        _check_alive(arrays)
        placed = batch if isinstance(batch, Placed) else self.shard(batch)
        due = due_at(self.plan, done)
        self._wait_for_room()
        begun = begun_at(self.plan, done)
        if begun:
            arrays = self.executables.begin(arrays, begun)
        arrays, loss = self.executables.run(due, arrays, dict(placed))
        self._on_their_way.append(loss)
        return State(np.asarray(done + 1, np.int32), *arrays), {"loss": loss}

    def _wait_for_room(self) -> None:
        """Waits until fewer than `MOST_ON_THEIR_WAY` steps are on their way.

        Two keep a device busy. With many, XLA's CPU collectives, which wait for each
        other in a pool of one thread a device, take each other's threads, and XLA
        aborts the process after 40 s.
        """
        while len(self._on_their_way) >= MOST_ON_THEIR_WAY:
            jax.block_until_ready(self._on_their_way.popleft())

    def shard(self, batch: Mapping[str, Any]) -> Placed:
        """Puts a global batch on the devices, each its own share, for `step`.

        Where devices hold parts of rows of tokens, these stand in the order of the
        devices that hold them.

        Raises:
            ValueError: If an array is missing, unknown, or has another shape or a
                type that cannot be cast to the expected one without changing its kind.
        """
        _check_batch(batch, self.executables.batch, self.rows)
        for axis in self.plan.axes:
            if isinstance(axis.strategy, words.Sequence) and axis.size > 1:
                batch = _dealt(batch, axis.size, axis.strategy.method)
        return Placed(self._place(batch, self.executables.batch_shardings))

    def _place(self, batch: Mapping[str, Any], where: Any) -> dict[str, jax.Array]:
        """Puts a batch on the devices as it is."""
        expected = self.executables.batch
        _check_batch(batch, expected, self.rows)
        arrays = {name: _typed(name, batch[name], e) for name, e in expected.items()}
        return {
            name: put(array, expected[name].shape, where[name])
            for name, array in arrays.items()
        }

    @cached_property
    def rows(self) -> slice:
        """The rows of a batch that the devices of this process hold."""
        spans = [
            rows_here(shape.shape, self.executables.batch_shardings[name])
            for name, shape in self.executables.batch_shapes.items()
        ]
        return slice(min(s.start for s in spans), max(s.stop for s in spans))

    def is_compiled(self, state: State) -> bool:
        """Whether the next step runs without compiling first."""
        return self.executables.is_compiled(due_at(self.plan, int(state.step)))

    def params(self, state: State) -> Params:
        """Returns the parameters: the mean of the copies where they differ.

        Those of an ensemble have a leading dim, with the parameters of each member.
        """
        return self.executables.consolidate(state.params)

    def model(self, state: State, member: int | None = None) -> Any:
        """Returns the model with the state's parameters, such as an nnx module.

        Args:
            state: The state; it stays usable.
            member: Which model of an ensemble, which has no mean.

        Raises:
            ValueError: If the task does not know how to make one, or there are several
                and none is named.
        """
        if self.task.module is None:
            raise ValueError("this task has no model to put parameters into")
        params, ensemble = self.params(state), ensemble_axis(self.plan.axes)
        if (ensemble is None) != (member is None):
            has = (
                f"{ensemble.size} models: name a `member`" if ensemble else "one model"
            )
            raise ValueError(f"`{self.plan.name}` has {has}")
        if member is not None:
            params = jax.tree.map(lambda leaf: leaf[member], params)
        return self.task.module(params)

    def member_params(self, state: State, member: int) -> Params:
        """Returns one member's copy of the parameters, on the host.

        Args:
            state: The state; it stays usable.
            member: Its number, the outermost axis of copies slowest.
        """
        replicas = [axis for axis in self.plan.axes if axis.holds_copies]
        place = np.unravel_index(member, [axis.size for axis in replicas])
        pairs = zip(place, replicas, strict=True)
        loose = tuple(int(index) for index, axis in pairs if axis.loose)
        return jax.tree.map(lambda leaf: np.asarray(leaf)[loose], state.params)

    def evaluate(self, state: State, data: Mapping[str, Any]) -> dict[str, float]:
        """Returns the task's metrics over data of any number of examples.

        Args:
            state: The state; it stays usable.
            data: Arrays with the examples as their first dim.

        Raises:
            ValueError: If there is no example, or arrays differ in their number.
        """
        _check_examples(data, self.executables.batch)
        params = self.params(state)
        size, chunk = len(next(iter(data.values()))), self.plan.batch
        sums: dict[str, float] = {}
        for start in range(0, size, chunk):
            part = {name: array[start : start + chunk] for name, array in data.items()}
            batch = {name: padded(array, chunk) for name, array in part.items()}
            placed = self._place(batch, self.executables.examples_shardings)
            found = self.executables.measure(params, placed)
            for name, value in found.items():
                mine = np.asarray(value)[: size - start]
                sums[name] = sums.get(name, 0.0) + float(mine.sum(dtype=np.float64))
        return self.task.report({name: total / size for name, total in sums.items()})

    @property
    def abstract_state(self) -> State:
        """Shapes, element types and shardings of a state, to restore one with."""
        return State(np.asarray(0, np.int32), *self.executables.arrays)

    def explain(self) -> str:
        """Returns what the program does, for people."""
        shapes = self.executables.batch_shapes
        return explain(with_temporaries(self.plan, self.task, shapes))

    def certify(self) -> Certificate:
        """Compiles every step of the run and holds it against the plan.

        Raises:
            CertificateError: If the collectives differ, naming the exchange.
        """
        variants = variants_of(self.plan)
        return certify(
            self.plan, {due: self.executables.pieces(due) for due in variants}
        )


def _dealt(batch: Mapping[str, Any], size: int, method: str) -> Mapping[str, Any]:
    """Puts the tokens of a batch in the order of the devices that hold them."""
    if method == "all_to_all":
        return batch
    return {
        name: np.asarray(array)[:, zigzag(np.shape(array)[1], size)]
        for name, array in batch.items()
    }


def _check_alive(arrays: Arrays) -> None:
    if any(leaf.is_deleted() for leaf in jax.tree.leaves(arrays)):
        raise ValueError(
            "this state was used up by an earlier `step`: go on from the state that "
            "it returned"
        )


def _typed(name: str, array: Any, expected: jax.ShapeDtypeStruct) -> Any:
    found = array.dtype if isinstance(array, jax.Array) else np.asarray(array).dtype
    if found == expected.dtype:
        return array
    if not jax.numpy.can_cast(found, expected.dtype, casting="same_kind"):
        raise ValueError(
            f"`{name}` of the batch has type {found}, the program was compiled for "
            f"{expected.dtype}"
        )
    return np.asarray(array).astype(expected.dtype)


def _check_examples(data: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    _check_names(data, expected)
    sizes = {name: len(array) for name, array in data.items()}
    if len(set(sizes.values())) != 1 or 0 in sizes.values():
        raise ValueError(f"each array needs as many examples, one at least: {sizes}")


def _check_names(batch: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    if set(batch) != set(expected):
        raise ValueError(
            f"the batch has {sorted(batch)}, the program expects {sorted(expected)}"
        )


def _check_batch(
    batch: Mapping[str, Any],
    expected: Mapping[str, jax.ShapeDtypeStruct],
    rows: slice,
) -> None:
    _check_names(batch, expected)
    for name, shape in expected.items():
        share = (rows.stop - rows.start, *shape.shape[1:])
        if np.shape(batch[name]) not in (shape.shape, share):
            raise ValueError(
                f"`{name}` of the batch has shape {np.shape(batch[name])}, "
                f"the program was compiled for {shape.shape}"
            )
