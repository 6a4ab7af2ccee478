"""What becomes of the optimizer's state when the copies of an axis meet."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from diamond.compiler.agreements import Part
from diamond.compiler.exchange.coded import exact_mean
from diamond.compiler.exchange.dense import merged


def kept_after_meeting(part: Part, state: Any, fresh: Callable[[], Any]) -> Any:
    """Returns the optimizer's state after an exchange of parameters.

    Args:
        part: The exchange; its rule says whether the state is kept by each copy,
            averaged over the axis (floating-point arrays only; counters are equal), or
            begun afresh.
        state: The optimizer's state.
        fresh: () -> the state of an optimizer that begins at the new parameters.
    """
    if part.rule.keeping == "average":
        leaves, tree = jax.tree.flatten(state)
        floats = [leaf if _is_float(leaf) else None for leaf in leaves]
        others = [None if _is_float(leaf) else leaf for leaf in leaves]
        means = exact_mean(floats, part.wire)
        return jax.tree.unflatten(tree, merged(means, others))
    return fresh() if part.rule.keeping == "reset" else state


def _is_float(leaf: jax.Array) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.floating))
