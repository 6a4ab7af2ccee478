"""Accumulation: a share of the batch taken in microbatches, one after another.

    g = sum over k of g_k (1/K)

with g_k the gradient of the mean loss of microbatch k. Activations of one microbatch at
a time are held, and the collectives of a step that are inside of it are sent K times.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diamond.compiler.task import Batch, Params

Step = Callable[[Params, Batch], tuple[jax.Array, Params]]


def accumulated(step: Step, microbatches: int) -> Step:
    """Returns a step that takes microbatches and averages what it finds.

    Args:
        step: (parameters, batch) -> (mean loss, its gradient).
        microbatches: Equal parts of the batch.

    Example:
        >>> step = lambda x, batch: (batch["x"].mean(), batch["x"].mean())
        >>> accumulated(step, 2)(0.0, {"x": jnp.arange(4.0)})[0]
        Array(1.5, dtype=float32)
    """
    if microbatches == 1:
        return step

    def whole(params: Params, batch: Batch) -> tuple[jax.Array, Params]:
        parts = {name: _cut(array, microbatches) for name, array in batch.items()}

        def add(total: Any, part: Batch) -> tuple[Any, None]:
            # Without the barrier XLA moves gathers of parameters out of the loop, and
            # holds them whole all the while.
            here, part = jax.lax.optimization_barrier((params, part))
            found = step(here, part)
            sums = jax.tree.map(lambda a, b: a + b * (1 / microbatches), total, found)
            return sums, None

        first = {name: array[0] for name, array in parts.items()}
        shapes = jax.eval_shape(step, params, first)
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        total, _ = jax.lax.scan(add, zeros, parts)
        return total  # type: ignore[no-any-return]

    return whole


def _cut(array: jax.Array, parts: int) -> jax.Array:
    return array.reshape(parts, len(array) // parts, *array.shape[1:])
