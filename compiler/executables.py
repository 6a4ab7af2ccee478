"""A plan's functions, compiled when they are first needed and kept."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from diamond.compiler.compat import compiler_options
from diamond.compiler.ground import ground_of
from diamond.compiler.lower import lower
from diamond.compiler.parallelism.ensemble import measure_of
from diamond.compiler.plan import Plan
from diamond.compiler.state import Arrays
from diamond.compiler.task import Batch, Task
from diamond.compiler.variants import Due

BatchShapes = Mapping[str, jax.ShapeDtypeStruct]


class Executables:
    """The compiled functions of one program.

    Attributes:
        batch_shapes: Shapes and element types of a global batch.
        batch_shardings: Where each array of a batch lies.
        examples_shardings: Where each array that is evaluated lies.
        consolidate: Parameters -> the mean of their copies, cut as each copy is.
        measure: (consolidated parameters, batch) -> metrics an example.
    """

    def __init__(
        self, plan: Plan, task: Task, mesh: Mesh, batch_shapes: BatchShapes
    ) -> None:
        self._ground = ground_of(plan, task, mesh)
        self._lowering = lower(self._ground)
        self.batch_shapes = batch_shapes
        self._steps: dict[Due, Any] = {}
        everywhere = NamedSharding(mesh, PartitionSpec())
        self._mesh = mesh
        placing = self._ground.placing
        self._shardings = shardings_of(mesh, placing.arrays)
        self.batch_shardings = shardings_of(mesh, placing.of_batch(batch_shapes))
        self.examples_shardings = {
            name: NamedSharding(mesh, placing.examples) for name in batch_shapes
        }
        self._init = jax.jit(self._lowering.init, out_shardings=self._shardings)
        self.consolidate = jax.jit(
            self._lowering.consolidate, out_shardings=shardings_of(mesh, placing.copy)
        )
        self.measure = jax.jit(measure_of(plan.axes, task), out_shardings=everywhere)

    def init(self, key: jax.Array) -> Arrays:
        """Returns the state before the first step."""
        return self._init(key)  # type: ignore[no-any-return]

    def run(self, due: Due, arrays: Arrays, batch: Batch) -> tuple[Arrays, jax.Array]:
        """Takes the step for the exchanges that are due; the arrays are used up."""
        return self.step(due)(arrays, batch)  # type: ignore[no-any-return]

    def pieces(self, due: Due) -> tuple[Any, ...]:
        """Returns what is compiled for a step."""
        return (self.step(due),)

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
        return body.trace(self.whole, self.batch)

    @property
    def arrays(self) -> Arrays:
        """Shapes, element types and shardings of a state's arrays."""
        return self.whole

    @cached_property
    def whole(self) -> Arrays:
        """The same, as a step in one piece takes them."""
        key = jax.eval_shape(lambda: jax.random.key(0))
        shapes = jax.eval_shape(self._lowering.init, key)
        return placed_at(shapes, self._ground.placing.arrays, self._mesh)  # type: ignore[no-any-return]

    @property
    def batch(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Shapes, element types and shardings of a batch."""
        return {
            name: _placed(shape, self.batch_shardings[name])
            for name, shape in self.batch_shapes.items()
        }


def shardings_of(mesh: Mesh, specs: Any) -> Any:
    """Returns where on a mesh the arrays of a tree lie."""
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


def placed_at(shapes: Any, specs: Any, mesh: Mesh) -> Any:
    """Gives each array of a tree the sharding of the part of it that it is in."""
    full = jax.tree.map(
        lambda sharding, part: jax.tree.map(lambda leaf: sharding, part),
        shardings_of(mesh, specs),
        shapes,
        is_leaf=lambda node: isinstance(node, NamedSharding),
    )
    return jax.tree.map(_placed, shapes, full)
