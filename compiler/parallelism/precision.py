"""Precision: which type each value of a step in bf16 has.

    parameters, gradients, optimizer, exchanges    fp32 (the master weights)
    the loss's forward and backward                bf16: x <- round(x) where it begins,
                                                   so that gradients come out in fp32

But for what bf16, with its 8 bits, would spoil: sums over examples, tokens and devices,
the statistics of norms, the softmax of attention, rotations, logits and the loss are
fp32. A product of bf16 arrays adds up in fp32 on the way to its result.

What devices only pass on crosses as bit patterns, `u16`: XLA's CPU backend widens bf16
to fp32 before a collective (seen with jax 0.10.2 and 0.12.0), and the bytes with it.
What they add up crosses in fp32.

References: Micikevicius et al., "Mixed precision training", arXiv 1710.03740, 2018;
Kalamkar et al., "A study of BFLOAT16 for deep learning training", arXiv 1905.12322,
2019. bf16 has the range of fp32, so there is no scaling of losses.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_derivatives import custom_vjp


def narrowed(tree: Any) -> Any:
    """Rounds the floating-point leaves of a tree to bf16.

    Example:
        >>> x = {"w": jnp.float32(1.001), "n": jnp.int32(3)}
        >>> {name: str(leaf.dtype) for name, leaf in narrowed(x).items()}
        {'n': 'int32', 'w': 'bfloat16'}
    """

    def cast(leaf: Any) -> Any:
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(jnp.bfloat16) if floating else leaf

    return jax.tree.map(cast, tree)


def widened(x: jax.Array) -> jax.Array:
    """Returns an array in fp32 at least."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def product(subscripts: str, a: jax.Array, b: jax.Array) -> jax.Array:
    """Returns an einsum of two arrays of one type, in fp32 at least.

    Gradients are rounded to the type of the arrays first, so that their products are
    of that type, too.

    Example:
        >>> x = jnp.ones((2, 3), jnp.bfloat16)
        >>> product("ij,kj->ik", x, x).dtype
        dtype('float32')
    """
    wide = jnp.promote_types(a.dtype, jnp.float32)
    if a.dtype == wide:
        return jnp.einsum(subscripts, a, b)

    def forward(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.einsum(subscripts, a, b, preferred_element_type=wide)

    def backward(kept: Any, back: jax.Array) -> Any:
        a, b = kept
        _, pull = jax.vjp(lambda a, b: jnp.einsum(subscripts, a, b), a, b)
        return pull(back.astype(a.dtype))

    summed = custom_vjp(forward)
    summed.defvjp(lambda a, b: (forward(a, b), (a, b)), backward)
    found: jax.Array = summed(a, b)
    return found


def carried(move: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
    """Applies what only moves values to the bit patterns of a narrow array.

    Args:
        move: A collective that adds nothing up.
        x: Any array; one that is no bf16 is moved as it is.
    """
    if x.dtype != jnp.bfloat16:
        return move(x)
    bits = move(jax.lax.bitcast_convert_type(x, jnp.uint16))
    moved: jax.Array = jax.lax.bitcast_convert_type(bits, jnp.bfloat16)
    return moved
