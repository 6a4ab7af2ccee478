"""What JAX computes for the oracle: one member's model and optimizer, on one device.

Compiled functions are kept by the function they come from, so that many schemes over
one task compile it once.
"""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
import optax

Function = Callable[..., Any]


@functools.lru_cache(maxsize=32)
def compiled(function: Function) -> Function:
    """Returns a function compiled for one device."""
    return jax.jit(function)


@functools.lru_cache(maxsize=32)
def value_and_gradient(loss: Function) -> Function:
    """Returns (x, batch) -> (loss, its gradient by x)."""
    return jax.jit(jax.value_and_grad(loss))


@functools.lru_cache(maxsize=32)
def optimizer_step(optimizer: optax.GradientTransformation) -> Function:
    """Returns (gradient, state, x) -> (x + update, state)."""

    def step(gradient: Any, state: Any, x: Any) -> tuple[Any, Any]:
        updates, state = optimizer.update(gradient, state, x)
        return optax.apply_updates(x, updates), state

    return jax.jit(step)


def mean(arrays: Sequence[Any]) -> Any:
    """Returns the mean of what was computed for parts of equal size."""
    return functools.reduce(operator.add, arrays) / len(arrays)


def as_numpy(tree: Any) -> Any:
    """Brings the arrays of a tree into NumPy."""
    return jax.tree.map(np.asarray, tree)


def is_floating(array: Any) -> bool:
    """Says whether an array holds floating-point numbers, narrow ones included."""
    return bool(jax.numpy.issubdtype(array.dtype, np.floating))


def has_fp64() -> bool:
    """Says whether JAX keeps 64-bit numbers as they are."""
    return jax.dtypes.canonicalize_dtype(np.float64) == np.float64
