"""int4: values cross as 4-bit integers, two to a byte, with a scale a block.

    s    = max |v| (1/7) over the block, in fp32 (1 where the block is zero)
    q    = round(v (1/s)), ties to even, in -7 .. 7
    C(v) = s q

Bill: half a byte a value and 4 bytes a block. Scales differ from member to member, so
payloads are never added on the way: they are gathered, or averaged in two phases.
Limits: exact on blocks of one value up to fp32's rounding; the error is at most s/2
a value.
Defaults: the code loses a share of each value that training notices, so feedback is
on; with gossip, which allows none, blocks should be small.

References: T. Dettmers, 8-Bit Approximations for Parallelism in Deep Learning, arXiv
1511.04561, 2015, for block scales; T. Dettmers et al., 8-bit Optimizers via Block-wise
Quantization, arXiv 2110.02861, 2021, for small blocks (we use linear, not dynamic,
codes).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bits import pack, unpack
from diamond.compiler.exchange.blocks import from_steps, to_steps
from diamond.compiler.exchange.contract import Codec

_LARGEST = 7
_ZERO = 8


class Int4Payload(NamedTuple):
    """What crosses.

    Attributes:
        codes: `u8[n / block, block / 2]`.
        scales: `f32[n / block]`.
    """

    codes: jax.Array
    scales: jax.Array


def int4(*, block: int = 128, feedback: bool = True) -> Codec:
    """Returns a codec of 4-bit integers with a scale a block.

    Args:
        block: Values that share a scale; even.
        feedback: Keep what rounding lost and add it the next time.

    Example:
        >>> codec = int4(block=2)
        >>> codec.encode(jnp.array([1.0, -0.5])).codes
        Array([[95]], dtype=uint8)
    """

    def encode(vector: jax.Array, key: jax.Array | None = None) -> Int4Payload:
        del key
        steps, scales = to_steps(vector.reshape(-1, block), _LARGEST)
        return Int4Payload(pack((steps + _ZERO).astype(jnp.uint8), 4), scales)

    def rounded(vector: jax.Array, key: jax.Array | None = None) -> jax.Array:
        del key
        return from_steps(*to_steps(vector.reshape(-1, block), _LARGEST))

    def decode(payload: Int4Payload, dtype: Any) -> jax.Array:
        packed = payload.codes.reshape(len(payload.scales), -1)
        codes = unpack(packed, 4, block)
        return from_steps(codes.astype(dtype) - _ZERO, payload.scales)

    return Codec(
        encode=encode,
        decode=decode,
        block=block,
        equation=f"C(v) = s round(v/s), s = max|v|/7 in blocks of {block}",
        feedback=feedback,
        rounded=rounded,
    )
