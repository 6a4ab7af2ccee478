"""Codes of 1, 2 or 4 bits, several to a byte.

A block of B codes becomes B w / 8 bytes: its first B w / 8 codes are the lowest w bits
of these bytes, the next ones the bits above. So both ways a byte's neighbour is the
neighbour in memory, whole vectors are shifted at once, and a block's bytes hold
nothing of another block.
"""

import functools
import operator

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import padded


def bytes_of(block: int, width: int) -> int:
    """Returns the bytes that a block of codes takes; the last one may be part empty.

    Example:
        >>> bytes_of(128, 4), bytes_of(3, 2)
        (64, 1)
    """
    return -(-block * width // 8)


def pack(codes: jax.Array, width: int) -> jax.Array:
    """Packs codes into bytes.

    Args:
        codes: `uint8[blocks, block]`, each below 2^width.
        width: Bits a code: 1, 2, 4 or 8.

    Returns:
        `uint8[blocks, bytes]`.

    Example:
        >>> pack(jnp.array([[1, 2, 3, 4]], jnp.uint8), 4)
        Array([[49, 66]], dtype=uint8)
    """
    blocks, block = codes.shape
    share = 8 // width
    full = jnp.pad(codes, ((0, 0), (0, padded(block, share) - block)))
    runs = full.reshape(blocks, share, -1)
    shifted = [runs[:, place] << (width * place) for place in range(share)]
    return functools.reduce(operator.or_, shifted)


def unpack(packed: jax.Array, width: int, block: int) -> jax.Array:
    """Returns the codes, `uint8[blocks, block]`, that `pack` made bytes of.

    Example:
        >>> unpack(jnp.array([[49, 66]], jnp.uint8), 4, 4)
        Array([[1, 2, 3, 4]], dtype=uint8)
    """
    shifts = jnp.arange(0, 8, width, dtype=jnp.uint8)
    runs = (packed[:, None, :] >> shifts[:, None]) & jnp.uint8(2**width - 1)
    codes: jax.Array = runs.reshape(len(packed), -1)[:, :block]
    return codes
