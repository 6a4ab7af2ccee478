"""Rematerialisation: what is computed again for the gradient instead of kept.

    none    the gradient finds every activation that it needs in memory
    block   it finds what goes into each block and what devices summed inside, and
            computes the rest of a block again: nothing is sent twice
    full    it finds what goes into each block: sums are sent twice, too

Reference: Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory cost",
arXiv 1604.06174, 2016; Korthikanti et al., "Reducing activation recomputation in large
transformer models", arXiv 2205.05198, 2022.
"""

from collections.abc import Callable
from typing import Any

import jax
from jax.ad_checkpoint import checkpoint_name

SUMMED, BLOCK = "summed", "block"
_KEPT = {"block": (SUMMED,), "full": ()}


def recomputed(block: Callable[..., Any], remat: str) -> Callable[..., Any]:
    """Returns a block that is computed again for its gradient.

    Args:
        block: A function of one array.
        remat: `none`, `block` or `full`.

    Example:
        >>> jax.grad(recomputed(jax.numpy.sin, "block"))(0.0)
        Array(1., dtype=float32, weak_type=True)
    """
    if remat == "none":
        return block
    kept = jax.checkpoint_policies.save_only_these_names(*_KEPT[remat])
    inside = jax.checkpoint(lambda x: block(x), policy=kept)
    return lambda x: inside(checkpoint_name(x, BLOCK))


def kept_between(remat: str) -> Callable[..., Any] | None:
    """Returns which values are kept where a loss is computed again around its blocks.

    None for all of them. Of nested recomputations JAX heeds the outer choice alone.
    """
    if remat == "none":
        return None
    names = (BLOCK, *_KEPT[remat])
    kept: Callable[..., Any] = jax.checkpoint_policies.save_only_these_names(*names)
    return kept
