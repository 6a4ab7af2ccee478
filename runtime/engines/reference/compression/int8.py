"""`int8(block)`: integers of 8 bits, with one float32 scale a block of values.

For each block,

    scale = max |p| (1/127), or 1 where that is no normal float32
    q     = p (1/scale) rounded half to even, clipped to [-127, 127]
    C(p)  = q scale

so that |C(p) - p| <= scale / 2 up to the rounding of the scale.

Blocks with a scale each: Dettmers, Lewis, Shleifer and Zettlemoyer, "8-bit optimizers
via block-wise quantization", arXiv 2110.02861, 2021.
"""

import numpy as np

from diamond.dsl.vocabulary import Int8
from diamond.runtime.engines.reference.compression.coded import Draw
from diamond.runtime.engines.reference.meeting import Array

SMALLEST = np.finfo(np.float32).tiny


def block_of(term: Int8) -> int:
    """Returns how many values share a scale."""
    return term.block


def round_trip(term: Int8, p: Array, _: Draw) -> Array:
    """Returns C(p), in the type of p."""
    q, scale = quantise(p, term.block)
    return np.ravel(q.astype(p.dtype) * scale.astype(p.dtype)[:, None])


def quantise(p: Array, block: int) -> tuple[Array, Array]:
    """Encodes blocks as integers [blocks, block] with a scale each [blocks].

    Example:
        >>> q, scale = quantise(np.array([127.0, -3.6, 0.0, 0.0]), block=2)
        >>> q.tolist(), scale.tolist()
        ([[127, -4], [0, 0]], [1.0, 1.0])
    """
    blocks = p.reshape(-1, block)
    scale = (np.abs(blocks).max(axis=1) * (1 / 127)).astype(np.float32)
    scale[scale < SMALLEST] = 1
    levels = np.rint(blocks * (1 / scale.astype(p.dtype))[:, None])
    return np.clip(levels, -127, 127).astype(np.int8), scale
