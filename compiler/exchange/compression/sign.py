"""Sign: only signs cross, with a scale a block (EF-signSGD).

    s    = mean |v| over the block, in fp32
    C(v) = s where v >= 0, else -s

The last block of a tensor may hold fewer values than the others; its mean is over
these.

Bill: one bit a value and 4 bytes a block, where the last block of each tensor counts in
full. Vectors (biases, norms) and tensors smaller than a block cross as they are, in
their own type. Payloads are gathered, or averaged in two phases.
Limits: exact on blocks of values of one size; |C(v) - v|^2 = |v|^2 - n s^2 in blocks of
n, so a block that is not zero always loses less than it held, which is what feedback
needs to converge.
Traps: with `feedback = false` it is a biased gradient that may not converge; that is
the form to vote with.

References: S. P. Karimireddy et al., Error Feedback Fixes SignSGD and other Gradient
Compression Schemes, arXiv 1901.09847, 2019 (scales by layer; ours by block, as in S.
Zheng, Z. Huang, J. Kwok, arXiv 1905.10936, 2019); J. Bernstein et al., signSGD:
Compressed Optimisation for Non-Convex Problems, arXiv 1802.04434, 2018.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bits import pack, unpack
from diamond.compiler.exchange.blocks import SMALLEST, total
from diamond.compiler.exchange.contract import Codec, skips_small


class SignPayload(NamedTuple):
    """What crosses.

    Attributes:
        signs: `u8[n / block, block / 8]`.
        scales: `f32[n / block]`.
    """

    signs: jax.Array
    scales: jax.Array


def sign(*, block: int = 1024, feedback: bool = True) -> Codec:
    """Returns a codec of signs with a scale a block.

    Args:
        block: Values that share a scale; a multiple of 8.
        feedback: Keep what was lost and add it the next time.

    Example:
        >>> codec = sign(block=8)
        >>> payload = codec.encode(jnp.array([1.0, -3.0, 0, 0, 0, 0, 0, 0]))
        >>> codec.decode(payload, jnp.float32)[:3]
        Array([ 0.5, -0.5,  0.5], dtype=float32)
    """
    return _signs(block, feedback, None)


def _signs(block: int, feedback: bool, counts: jax.Array | None) -> Codec:
    """Returns the codec for blocks that hold so many values; all where not given."""

    def scaled(vector: jax.Array) -> tuple[jax.Array, jax.Array]:
        blocks = vector.reshape(-1, block)
        held = block if counts is None else jnp.maximum(counts, 1).astype(vector.dtype)
        scales = (total(jnp.abs(blocks)) * (1 / held)).astype(jnp.float32)
        return blocks >= 0, jnp.where(scales < SMALLEST, 0, scales)

    def encode(vector: jax.Array, key: jax.Array | None = None) -> SignPayload:
        del key
        signs, scales = scaled(vector)
        return SignPayload(pack(signs.astype(jnp.uint8), 1), scales)

    def rounded(vector: jax.Array, key: jax.Array | None = None) -> jax.Array:
        del key
        signs, scales = scaled(vector)
        return signed(signs, scales, vector.dtype)

    def signed(signs: jax.Array, scales: jax.Array, dtype: Any) -> jax.Array:
        wide = scales[:, None].astype(dtype)
        values = jnp.where(signs, wide, -wide)
        if counts is not None:
            values = jnp.where(jnp.arange(block) < counts[:, None], values, 0)
        return values.reshape(-1)

    def decode(payload: SignPayload, dtype: Any) -> jax.Array:
        packed = payload.signs.reshape(len(payload.scales), -1)
        return signed(unpack(packed, 1, block) == 1, payload.scales, dtype)

    return Codec(
        encode=encode,
        decode=decode,
        block=block,
        equation=f"C(v) = s sgn(v), s = mean|v| in blocks of {block}",
        feedback=feedback,
        skips=skips_small(block),
        rounded=rounded,
        within=lambda counts: _signs(block, feedback, counts),
    )
