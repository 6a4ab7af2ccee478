"""A plan's functions, compiled when they are first needed and kept."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diamond.compiler.compat import compiler_options
from diamond.compiler.lower import lower
from diamond.compiler.parallelism.ensemble import measure_of
from diamond.compiler.plan import Plan
from diamond.compiler.state import Arrays
from diamond.compiler.task import Task
from diamond.compiler.variants import Due

BatchShapes = Mapping[str, jax.ShapeDtypeStruct]


class Executables:
    """The compiled functions of one program.

    Attributes:
        batch_shapes: Shapes and element types of a global batch.
        batch_shardings: Where each array of a batch lies.
        examples_shardings: Where each array that is evaluated lies.
        init: Key -> arrays.
        consolidate: Parameters -> the mean of their copies, cut as each copy is.
        measure: (consolidated parameters, batch) -> metrics an example.
    """

    def __init__(
        self, plan: Plan, task: Task, mesh: Mesh, batch_shapes: BatchShapes
    ) -> None:
        self._lowering = lower(plan, task, mesh)
        self.batch_shapes = batch_shapes
        self._steps: dict[Due, Any] = {}
        everywhere = NamedSharding(mesh, PartitionSpec())
        placing = self._lowering.placing
        self._shardings = _shardings(mesh, placing.arrays)
        self.batch_shardings = _shardings(mesh, placing.of_batch(batch_shapes))
        self.examples_shardings = {
            name: NamedSharding(mesh, placing.examples) for name in batch_shapes
        }
        self.init = jax.jit(self._lowering.init, out_shardings=self._shardings)
        self.consolidate = jax.jit(
            self._lowering.consolidate, out_shardings=_shardings(mesh, placing.copy)
        )
        self.measure = jax.jit(measure_of(plan.axes, task), out_shardings=everywhere)

    def begin(self, arrays: Arrays, exchanges: frozenset[str]) -> Arrays:
        """Readies the state for exchanges whose agreements begin."""
        body = self._lowering.begin(exchanges)
        run = jax.jit(body, donate_argnums=0, out_shardings=self._shardings)
        return run(arrays)  # type: ignore[no-any-return]

    def is_compiled(self, due: Due) -> bool:
        """Whether the step for the exchanges that are due is compiled."""
        return due in self._steps

    def step(self, due: Due) -> Any:
        """Returns the compiled step for the exchanges that are due."""
        if due not in self._steps:
            lowered = self.traced(due).lower()
            self._steps[due] = lowered.compile(compiler_options=compiler_options())
        return self._steps[due]

    def traced(self, due: Due) -> Any:
        """Returns the traced step for the exchanges that are due."""
        body = jax.jit(
            self._lowering.step(due),
            donate_argnums=0,
            out_shardings=(self._shardings, None),
        )
        return body.trace(self.arrays, self.batch)

    @cached_property
    def arrays(self) -> Arrays:
        """Shapes, element types and shardings of a state's arrays."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        shapes = jax.eval_shape(self._lowering.init, key)
        full = _broadcast(self._shardings, shapes)
        placed: Arrays = jax.tree.map(_placed, shapes, full)
        return placed

    @property
    def batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes, element types and shardings of a batch."""
        return {
            name: _placed(shape, self.batch_shardings[name])
            for name, shape in self.batch_shapes.items()
        }


def _shardings(mesh: Mesh, specs: Any) -> Any:
    return jax.tree.map(
        lambda spec: NamedSharding(mesh, spec),
        specs,
        is_leaf=lambda node: isinstance(node, PartitionSpec),
    )


def padded(array: Any, size: int) -> np.ndarray:
    """Repeats the last example of an array until there are `size` of them."""
    array = np.asarray(array)
    missing = size - len(array)
    return np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])


def _placed(shape: Any, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)


def _broadcast(shardings: Arrays, shapes: Arrays) -> Any:
    """Gives each array of a part of the state the sharding of that part."""
    return jax.tree.map(
        lambda sharding, part: jax.tree.map(lambda leaf: sharding, part),
        shardings,
        shapes,
        is_leaf=lambda node: isinstance(node, NamedSharding),
    )
