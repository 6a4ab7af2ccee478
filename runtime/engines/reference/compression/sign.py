"""`sign(block)`: one bit a value, with one float32 scale a block of values.

For each block of d values,

    scale = (sum |p|) (1/d), or 0 where that is no normal number of float32
    C(p)  = scale where p >= 0, else -scale

so that |C(p) - p|^2 = (1 - |p|_1^2 / (d |p|_2^2)) |p|_2^2. Zeros that fill up the last
block of a leaf do not count in its d, and stay zeros. Which way a scale is rounded to
float32 may hang on the last bit of the sum, so its order is defined: a block of even
size is folded in halves first, up to four times.

Bernstein, Wang, Azizzadenesheli and Anandkumar, "signSGD: Compressed optimisation for
non-convex problems", arXiv 1802.04434, 2018; the scale and the feedback: Karimireddy,
Rebjock, Stich and Jaggi, "Error feedback fixes SignSGD and other gradient compression
schemes", arXiv 1901.09847, 2019, where a block is a layer.
"""

import numpy as np

from diamond.dsl.vocabulary import Sign
from diamond.runtime.engines.reference.compression.coded import Draw
from diamond.runtime.engines.reference.meeting import Array

SMALLEST = np.finfo(np.float32).tiny
FOLDS = 4


def block_of(term: Sign) -> int:
    """Returns how many values share a scale."""
    return term.block


def round_trip(term: Sign, p: Array, _: Draw, is_value: Array | None = None) -> Array:
    """Returns C(p), in the type of p.

    Args:
        term: The codec.
        p: What is encoded, of whole blocks.
        is_value: Of each number in p, whether it is a value and no filling; all are
            where not given.

    Example:
        >>> round_trip(Sign(block=8), np.array([1.0, -2.0, 0.0, 5.0] * 2), np.zeros)
        array([ 2., -2.,  2.,  2.,  2., -2.,  2.,  2.])
    """
    blocks = p.reshape(-1, term.block)
    held = np.ones_like(p, bool) if is_value is None else is_value
    held = held.reshape(blocks.shape)
    inverse = 1 / np.maximum(1, np.sum(held, axis=1, keepdims=True))
    sums = _total(np.where(held, np.abs(blocks), 0))
    scale = (sums * inverse.astype(p.dtype)).astype(np.float32)
    scale = np.where(scale < SMALLEST, 0, scale).astype(p.dtype)
    return np.ravel(np.where(held, np.where(blocks >= 0, scale, -scale), 0))


def _total(blocks: Array) -> Array:
    for _ in range(FOLDS):
        half, rest = divmod(blocks.shape[1], 2)
        if not rest:
            blocks = blocks[:, :half] + blocks[:, half:]
    return np.asarray(np.sum(blocks, axis=1, keepdims=True))
