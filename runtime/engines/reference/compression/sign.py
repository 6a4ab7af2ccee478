"""`sign(block)`: one bit a value, with one float32 scale a block of values.

For each block of d values,

    scale = (sum |p|) (1/d)
    C(p)  = scale where p >= 0, else -scale

so that |C(p) - p|^2 = (1 - |p|_1^2 / (d |p|_2^2)) |p|_2^2. Zeros that fill up a block
count in its d.

Bernstein, Wang, Azizzadenesheli and Anandkumar, "signSGD: Compressed optimisation for
non-convex problems", arXiv 1802.04434, 2018; the scale and the feedback: Karimireddy,
Rebjock, Stich and Jaggi, "Error feedback fixes SignSGD and other gradient compression
schemes", arXiv 1901.09847, 2019, where a block is a layer.
"""

import numpy as np

from diamond.dsl.vocabulary import Sign
from diamond.runtime.engines.reference.compression.coded import Draw
from diamond.runtime.engines.reference.meeting import Array


def block_of(term: Sign) -> int:
    """Returns how many values share a scale."""
    return term.block


def round_trip(term: Sign, p: Array, _: Draw) -> Array:
    """Returns C(p), in the type of p.

    Example:
        >>> round_trip(Sign(block=8), np.array([1.0, -2.0, 0.0, 5.0] * 2), np.zeros)
        array([ 2., -2.,  2.,  2.,  2., -2.,  2.,  2.])
    """
    blocks = p.reshape(-1, term.block)
    scale = np.sum(np.abs(blocks), axis=1, keepdims=True) * (1 / term.block)
    scale = scale.astype(np.float32).astype(p.dtype)
    return np.ravel(np.where(blocks >= 0, scale, -scale))
