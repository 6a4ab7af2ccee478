"""What a codec wants to know of each block of values.

Both are written so that XLA's CPU backend vectorizes them: it takes five to ten times
as long for the reduction of an absolute value or of a square.
"""

import jax
import jax.numpy as jnp

# Below it a scale has no reciprocal in fp32, and counts as 0.
SMALLEST = 2.0**-126
# More in one fusion, and XLA's CPU backend writes the operands out to memory first.
_FOLDS = 4


def largest(blocks: jax.Array) -> jax.Array:
    """Returns max |v| of each block, `[blocks]`; NaN where a value is not finite.

    XLA's CPU backend drops NaN from the maximum of a row (seen with jax 0.10.2 and
    0.12.0), and a run that has gone wrong would look sound; a sum keeps it.

    Example:
        >>> largest(jnp.array([[1.0, -3.0], [0.5, 0.0]]))
        Array([3. , 0.5], dtype=float32)
    """
    found = jnp.maximum(jnp.max(blocks, axis=1), -jnp.min(blocks, axis=1))
    return found + jnp.sum(0 * blocks, axis=1)


def to_steps(blocks: jax.Array, most: int) -> tuple[jax.Array, jax.Array]:
    """Rounds each block to whole steps of its own scale.

    Returns:
        Steps in -most .. most, in the blocks' type; scales, `f32[blocks]`.

    Example:
        >>> to_steps(jnp.array([[1.0, -0.5]]), 2)[0]
        Array([[ 2., -1.]], dtype=float32)
    """
    # Products with reciprocals, not divisions: XLA's CPU backend makes these of
    # divisions by constants and by broadcast values, and then the last bit, on which a
    # tie hangs, would be the backend's choice.
    scales = (largest(blocks) * (1 / most)).astype(jnp.float32)
    scales = jnp.where(scales < SMALLEST, jnp.float32(1), scales)
    steps = jnp.round(blocks * (1 / scales.astype(blocks.dtype))[:, None])
    return jnp.clip(steps, -most, most), scales


def from_steps(steps: jax.Array, scales: jax.Array) -> jax.Array:
    """Returns steps times their blocks' scales, `[n]`, in the steps' type."""
    return jnp.ravel(steps * scales[:, None].astype(steps.dtype))


def total(blocks: jax.Array) -> jax.Array:
    """Returns the sum of each block, `[blocks]`, folded in halves first.

    Example:
        >>> total(jnp.array([[1.0, -3.0], [0.5, 0.0]]))
        Array([-2. ,  0.5], dtype=float32)
    """
    for _ in range(_FOLDS):
        size = blocks.shape[1]
        if size % 2 == 0:
            blocks = blocks[:, : size // 2] + blocks[:, size // 2 :]
    return jnp.sum(blocks, axis=1)
