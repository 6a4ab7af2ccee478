"""`cast(to)`: each value is rounded to a narrower floating-point type.

C(p) is p clipped to the finite range of the narrow type, rounded to its nearest
number, ties to even, and widened again. The way leads through float32, so p in
float64 is rounded to float32 first. NaN where p is not finite.

The types fp8_e4m3 and fp8_e5m2: Micikevicius et al., "FP8 formats for deep learning",
arXiv 2209.05433, 2022.
"""

from dataclasses import dataclass

import numpy as np

from diamond.dsl.vocabulary import Cast
from diamond.runtime.engines.reference.compression.coded import Draw
from diamond.runtime.engines.reference.meeting import Array


@dataclass(frozen=True, slots=True)
class Narrow:
    """A narrow binary floating-point type.

    Attributes:
        digits: Bits of the significand, the leading one included.
        least: Exponent of the smallest normal number, 2 ** least.
        top: The greatest finite number.
    """

    digits: int
    least: int
    top: float


NARROW = {
    "bf16": Narrow(8, -126, (2 - 2.0**-7) * 2.0**127),
    "fp16": Narrow(11, -14, 65504.0),
    "fp8_e4m3": Narrow(4, -6, 448.0),
    "fp8_e5m2": Narrow(3, -14, 57344.0),
}


def block_of(_: Cast) -> int:
    """Returns 1: each value is rounded alone."""
    return 1


def round_trip(term: Cast, p: Array, _: Draw) -> Array:
    """Returns C(p), in the type of p."""
    return round_to(NARROW[term.to], p)


def round_to(narrow: Narrow, p: Array) -> Array:
    """Rounds to the nearest number of a narrow type, ties to even.

    The numbers near p are the multiples of 2 ** (e + 1 - digits), where 2 ** e is
    the greatest power of two that is not above |p|, or the smallest normal one.

    Example:
        >>> round_to(NARROW["fp8_e4m3"], np.array([1.0625, 1.1875, 1e9]))
        array([  1.  ,   1.25, 448.  ])
    """
    clipped = np.clip(p, -narrow.top, narrow.top)
    finite = np.where(np.isfinite(p), clipped, np.nan)
    single = finite.astype(np.float32).astype(np.float64)
    exponent = np.maximum(np.frexp(single)[1] - 1, narrow.least)
    spacing = np.ldexp(1.0, exponent + 1 - narrow.digits)
    rounded = np.rint(single / spacing) * spacing
    result: Array = rounded.astype(np.float32).astype(p.dtype)
    return result
