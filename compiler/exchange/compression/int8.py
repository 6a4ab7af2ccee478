"""int8: values cross as 8-bit integers with a scale a block.

    s    = max |v| (1/127) over the block, in fp32 (1 where the block is zero)
    q    = round(v (1/s)), ties to even, in -127 .. 127
    C(v) = s q

Bill: 1 byte a value and 4 bytes a block. Scales differ from member to member, so
payloads are never added on the way: they are gathered, or averaged in two phases.
Limits: exact on blocks of one value up to fp32's rounding; the error is at most s/2
a value.

References: T. Dettmers, 8-Bit Approximations for Parallelism in Deep Learning, arXiv
1511.04561, 2015, for block scales (we use linear, not dynamic, codes).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.blocks import from_steps, to_steps
from diamond.compiler.exchange.contract import Codec

_LARGEST = 127


class Int8Payload(NamedTuple):
    """What crosses: `codes` is `s8[n]`, `scales` is `f32[n / block]`."""

    codes: jax.Array
    scales: jax.Array


def int8(*, block: int = 256, feedback: bool = True) -> Codec:
    """Returns a codec of 8-bit integers with a scale a block.

    Args:
        block: Values that share a scale.
        feedback: Keep what rounding lost and add it the next time.

    Example:
        >>> codec = int8(block=2)
        >>> codec.encode(jnp.array([1.0, -0.5])).codes
        Array([127, -64], dtype=int8)
    """

    def encode(vector: jax.Array, key: jax.Array | None = None) -> Int8Payload:
        del key
        steps, scales = to_steps(vector.reshape(-1, block), _LARGEST)
        return Int8Payload(steps.astype(jnp.int8).reshape(-1), scales)

    def decode(payload: Int8Payload, dtype: Any) -> jax.Array:
        steps = payload.codes.reshape(-1, block).astype(dtype)
        return from_steps(steps, payload.scales)

    return Codec(
        encode=encode,
        decode=decode,
        block=block,
        equation=f"C(v) = s round(v/s), s = max|v|/127 in blocks of {block}",
        feedback=feedback,
    )
