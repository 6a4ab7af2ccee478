"""Cast: values cross in a narrower floating-point type.

    C(v) = the nearest value of the type, ties to even, clipped to its finite range;
           NaN where v is not finite, so that an overflow stays in sight

An fp64 value is rounded to fp32 first: XLA's CPU backend does so on the way to 16 bits
and not on the way to 8, and one rule is better than two.

Bill: 2 bytes a value (bf16, fp16) or 1 byte (fp8). The bits cross as unsigned
integers: XLA's CPU backend widens 16-bit floats to 32 bits before a collective, which
would double the bytes. Values are added in their own type after decoding, so the sum
does not lose what a 16-bit accumulator would.
Limit: exact on values that the type can hold.
Traps: there is no scale, so that small values are lost: `fp8_e4m3` sends 2^-10
(9.8e-4) and less as 0, `fp8_e5m2` 2^-17 (7.6e-6), `fp16` 2^-25 (3e-8). Many gradients
are smaller: take `feedback = true`, which keeps what was lost until it is large enough,
or `int8`, which has a scale a block.

References: P. Micikevicius et al., FP8 Formats for Deep Learning, arXiv 2209.05433,
2022, for `fp8_e4m3` and `fp8_e5m2`.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Codec


class _Type(NamedTuple):
    value: Any
    bits: Any


_TYPES = {
    "bf16": _Type(jnp.bfloat16, jnp.uint16),
    "fp16": _Type(jnp.float16, jnp.uint16),
    "fp8_e4m3": _Type(jnp.float8_e4m3fn, jnp.uint8),
    "fp8_e5m2": _Type(jnp.float8_e5m2, jnp.uint8),
}


def cast(*, to: str = "bf16", feedback: bool = False) -> Codec:
    """Returns a codec that rounds to a floating-point type.

    Args:
        to: `bf16`, `fp16`, `fp8_e4m3` or `fp8_e5m2`.
        feedback: Keep what rounding lost and add it the next time.

    Example:
        >>> codec = cast(to="bf16")
        >>> codec.decode(codec.encode(jnp.array([1.0, 1.001])), jnp.float32)
        Array([1., 1.], dtype=float32)
    """
    kind = _TYPES[to]
    largest = float(jnp.finfo(kind.value).max)

    def encode(vector: jax.Array, key: jax.Array | None = None) -> jax.Array:
        del key
        clipped = jnp.clip(vector, -largest, largest)
        shown = jnp.where(jnp.isfinite(vector), clipped, jnp.nan)
        narrow = shown.astype(jnp.float32).astype(kind.value)
        return jax.lax.bitcast_convert_type(narrow, kind.bits)

    def decode(payload: jax.Array, dtype: Any) -> jax.Array:
        return jax.lax.bitcast_convert_type(payload, kind.value).astype(dtype)

    return Codec(
        encode=encode,
        decode=decode,
        block=1,
        equation=f"C(v) = v rounded to {to}",
        feedback=feedback,
    )
