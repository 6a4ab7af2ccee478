"""What a value has become after it crossed an axis: C(p), encoded and decoded.

`none`
    C(p) = p.
`cast(to)`
    p rounded to the nearest number of the narrow type, ties to even, and back. The
    way leads through float32, so p in float64 is rounded to float32 first, after it
    was clipped to the narrow type's finite range. NaN where p is not finite.
`int8(block)`, for each block of values with one scale
    scale = max |p| (1/127) in float32, or 1 where that is 0
    q     = round_half_even(p (1/scale)), clipped to [-127, 127]
    C(p)  = q * scale

so that |C(p) - p| <= scale / 2 up to the rounding of the scale.
"""

from dataclasses import dataclass

import numpy as np

from diamond.dsl.vocabulary import Cast, Int8, NoCompression
from diamond.runtime.engines.reference.state import Vector

Compression = NoCompression | Cast | Int8


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


def block_of(compression: Compression) -> int:
    """Returns how many neighbouring values are encoded together."""
    return compression.block if isinstance(compression, Int8) else 1


def keeps_residual(compression: Compression) -> bool:
    """Says whether what is lost is added to what is sent next."""
    return not isinstance(compression, NoCompression) and compression.feedback


def round_trip(compression: Compression, p: Vector) -> Vector:
    """Returns C(p), in the type of p; the length is a multiple of the block."""
    if isinstance(compression, NoCompression):
        return p
    if isinstance(compression, Cast):
        return round_to(NARROW[compression.to], p)
    q, scale = quantise(p, compression.block)
    return dequantise(q, scale, p.dtype)


def round_to(narrow: Narrow, p: Vector) -> Vector:
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
    result: Vector = rounded.astype(np.float32).astype(p.dtype)
    return result


def quantise(p: Vector, block: int) -> tuple[Vector, Vector]:
    """Encodes blocks as 8-bit integers with one float32 scale a block.

    Example:
        >>> q, scale = quantise(np.array([127.0, -63.6, 0.0, 0.0]), block=2)
        >>> q.tolist(), scale.tolist()
        ([[127, -64], [0, 0]], [1.0, 1.0])
    """
    blocks = p.reshape(-1, block)
    scale = (np.abs(blocks).max(axis=1) * (1 / 127)).astype(np.float32)
    scale[scale == 0] = 1
    levels = np.rint(blocks * (1 / scale.astype(p.dtype))[:, None])
    return np.clip(levels, -127, 127).astype(np.int8), scale


def dequantise(q: Vector, scale: Vector, dtype: np.dtype[np.floating]) -> Vector:
    """Decodes what `quantise` encoded."""
    return (q.astype(dtype) * scale[:, None].astype(dtype)).ravel()
