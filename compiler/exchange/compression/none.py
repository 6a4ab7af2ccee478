"""No compression: values cross in their own type.

    C(v) = v

Bill: every value once, in the parameters' element type, added on the way.
Limit: exact.
"""

from typing import Any

import jax

from diamond.compiler.exchange.contract import Codec


def none() -> Codec:
    """Returns the codec that leaves a vector as it is.

    Example:
        >>> none().is_exact
        True
    """

    def encode(vector: jax.Array, key: jax.Array | None = None) -> jax.Array:
        del key
        return vector

    def decode(payload: jax.Array, dtype: Any) -> jax.Array:
        return payload.astype(dtype)

    return Codec(encode, decode, block=1, equation="C(v) = v", is_exact=True)
