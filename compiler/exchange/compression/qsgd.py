"""QSGD: values are rounded at random to a few levels of their bucket's norm.

    |v|  = sqrt(sum v_k^2) over the bucket, in fp32
    l_k  = floor(|v_k| (s / |v|) + u_k), at most s       s = 2^(bits - 1) - 1
    C(v) = sgn(v_k) l_k (|v| / s)                        u_k uniform in [0, 1)

The expectation over u is v: unlike the rounding of int8 and int4, it needs no feedback.
All members draw apart, along this axis and along those further out, so that errors
average out; runs of another `seed` have other ones.

Bill: `bits` bits a value and 4 bytes a bucket. Payloads are gathered, or averaged in
two phases, where the server's rounding draws numbers of its own.
Limits: exact on buckets with one value that is not zero, up to fp32's rounding. The
expected squared error is at most min(d / s^2, sqrt(d) / s) |v|^2 in buckets of d.
Defaults: 4 bits in buckets of 512; with 2 bits s = 1 and the error is several times
the gradient: smaller buckets make it less.

References: D. Alistarh et al., QSGD: Communication-Efficient SGD via Gradient
Quantization and Encoding, arXiv 1610.02132, 2017 (we send codes of fixed width, not
Elias codes).
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bits import pack, unpack
from diamond.compiler.exchange.blocks import SMALLEST, total
from diamond.compiler.exchange.contract import Codec
from diamond.compiler.exchange.noise import uniform


class QsgdPayload(NamedTuple):
    """What crosses.

    Attributes:
        codes: `u8[n / bucket, bucket bits / 8]`, rounded up.
        norms: `f32[n / bucket]`.
    """

    codes: jax.Array
    norms: jax.Array


def qsgd(*, bits: int = 4, bucket: int = 512) -> Codec:
    """Returns a codec of stochastic rounding.

    Args:
        bits: Bits a value, its sign included: 2, 4 or 8.
        bucket: Values that share a norm.

    Example:
        >>> codec = qsgd(bits=2, bucket=2)
        >>> payload = codec.encode(jnp.array([0.0, -4.0]), jnp.uint32(1))
        >>> codec.decode(payload, jnp.float32)
        Array([ 0., -4.], dtype=float32)
    """
    top = 2 ** (bits - 1) - 1
    zero = top + 1

    def encode(vector: jax.Array, key: jax.Array) -> QsgdPayload:
        buckets, dtype = vector.reshape(-1, bucket), vector.dtype
        norms = jnp.sqrt(total(buckets * buckets)).astype(jnp.float32)
        wide = norms.astype(dtype)
        per = jnp.where(wide < SMALLEST, 0, top * (1 / wide))
        drawn = uniform(key, buckets.shape).astype(dtype)
        levels = jnp.floor(jnp.abs(buckets) * per[:, None] + drawn)
        levels = jnp.minimum(levels, top)
        codes = jnp.where(buckets < 0, -levels, levels) + zero
        return QsgdPayload(pack(codes.astype(jnp.uint8), bits), norms)

    def decode(payload: QsgdPayload, dtype: Any) -> jax.Array:
        packed = payload.codes.reshape(len(payload.norms), -1)
        levels = unpack(packed, bits, bucket).astype(dtype) - zero
        steps = payload.norms.astype(dtype) * (1 / top)
        values: jax.Array = levels * steps[:, None]
        return values.reshape(-1)

    return Codec(
        encode=encode,
        decode=decode,
        block=bucket,
        equation=(
            f"C(v) = sgn(v) floor(|v| {top}/|b| + u) |b|/{top}, "
            f"|b| the norm of a bucket of {bucket}"
        ),
        draws=True,
    )
