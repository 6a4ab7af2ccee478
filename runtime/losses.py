"""Losses, one value an example."""

import jax
import jax.numpy as jnp

from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.precision import widened


def cross_entropy(
    logits: jax.Array, targets: jax.Array, group: Group | None = None
) -> jax.Array:
    """Returns the negative log-likelihood of integer targets, in nats, an example.

    The logarithm of the softmax is taken in fp32 at least. Where an example has many
    targets (tokens), its value is the mean over them. A target that is no class makes
    the value NaN.

    Args:
        logits: `[examples, ..., classes]`.
        targets: Integers `[examples, ...]`.
        group: Where given, each of its devices has the logits of some classes, in
            order, and no one ever has them all.

    Raises:
        ValueError: If the shapes do not fit.

    Example:
        >>> f"{cross_entropy(jnp.zeros((1, 4)), jnp.array([2]))[0]:.4f}"
        '1.3863'
    """
    if logits.shape[:-1] != targets.shape:
        raise ValueError(
            f"logits have shape {logits.shape} and targets {targets.shape}: a cross "
            "entropy needs `[..., classes]` and `[...]`"
        )
    logits = widened(logits)
    if targets.dtype.itemsize < 4:
        targets = targets.astype(jnp.int32)  # a byte does not count to 256
    here = logits.shape[-1]
    first = 0 if group is None else group.place.astype(targets.dtype) * here
    places = first + jnp.arange(here, dtype=targets.dtype)
    # A masked sum, not a gather, whose gradient would be a scatter.
    picked = jnp.sum(jnp.where(places == targets[..., None], logits, 0), axis=-1)
    if group is None:
        values = jax.nn.logsumexp(logits, axis=-1) - picked
    else:
        values = _logsumexp(logits, group) - group.leave(picked)
    classes = here * (1 if group is None else group.size)
    values = jnp.where((targets >= 0) & (targets < classes), values, jnp.nan)
    return jnp.mean(values.reshape(len(targets), -1), axis=1)


def _logsumexp(logits: jax.Array, group: Group) -> jax.Array:
    """Returns the logarithm of everyone's sum of exponentials."""
    peak = group.largest(jnp.max(logits, axis=-1))
    return jnp.log(group.leave(jnp.sum(jnp.exp(logits - peak[..., None]), -1))) + peak


def mean_squared_error(outputs: jax.Array, targets: jax.Array) -> jax.Array:
    """Returns the mean squared difference an example.

    Args:
        outputs: `[examples, ...]`, as many values as the targets have.
        targets: `[examples, ...]`.

    Raises:
        ValueError: If outputs and targets differ in size.

    Example:
        >>> mean_squared_error(jnp.ones((2, 1)), jnp.array([1.0, 3.0])).tolist()
        [0.0, 4.0]
    """
    if outputs.size != targets.size:
        raise ValueError(
            f"outputs have shape {outputs.shape} and targets {targets.shape}: "
            "a mean squared error needs as many of the one as of the other"
        )
    examples = len(targets)
    outputs = widened(outputs.reshape(examples, -1))
    difference = outputs - targets.reshape(examples, -1)
    return jnp.mean(difference * difference, axis=1)
