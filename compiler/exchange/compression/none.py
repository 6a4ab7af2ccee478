"""No compression: values cross in their own type.

    C(v) = v

Bill: every value once, in the parameters' element type, added on the way.
Limit: exact.
"""

from diamond.compiler.exchange.contract import Codec


def none() -> Codec:
    """Returns the codec that leaves a vector as it is.

    Example:
        >>> none().is_exact
        True
    """
    return Codec(
        encode=lambda vector: vector,
        decode=lambda payload, dtype: payload.astype(dtype),
        payload=lambda elements: (("values", elements),),
        block=1,
        feedback=False,
        is_exact=True,
        equation="C(v) = v",
    )
