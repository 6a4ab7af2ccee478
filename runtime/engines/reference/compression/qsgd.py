"""`qsgd(bits, bucket)`: random rounding to a few levels of the norm of a bucket.

With s = 2^(bits-1) - 1 and u drawn for each value from [0, 1), for each bucket of
values,

    norm  = sqrt(sum p^2) in float32
    level = min(floor(|p| (s (1/norm)) + u), s), or 0 where norm is 0
    C(p)  = sgn(p) level (norm (1/s))

C is unbiased, E C(p) = p, and E |C(p) - p|^2 <= min(d/s^2, sqrt(d)/s) |p|^2 for a
bucket of d values; so there is no error feedback.

Alistarh, Grubic, Li, Tomioka and Vojnovic, "QSGD: Communication-efficient SGD via
gradient quantization and encoding", arXiv 1610.02132, 2017. The levels cross in a fixed
number of bits, not in the paper's Elias code.
"""

import numpy as np

from diamond.dsl.vocabulary import Qsgd
from diamond.runtime.engines.reference.compression.coded import Draw
from diamond.runtime.engines.reference.meeting import Array

SMALLEST = np.finfo(np.float32).tiny


def block_of(term: Qsgd) -> int:
    """Returns how many values share a norm."""
    return term.bucket


def round_trip(term: Qsgd, p: Array, draw: Draw) -> Array:
    """Returns C(p), in the type of p.

    Example:
        >>> round_trip(Qsgd(bits=2, bucket=2), np.array([0.6, -0.8]), np.zeros)
        array([ 0., -0.])
    """
    top = 2 ** (term.bits - 1) - 1
    buckets = p.reshape(-1, term.bucket)
    u = draw(p.size).astype(p.dtype).reshape(buckets.shape)
    norm = np.sqrt(np.sum(buckets * buckets, axis=1, keepdims=True))
    norm = norm.astype(np.float32).astype(p.dtype)
    is_small = norm < SMALLEST
    ratio = np.where(is_small, 0, top * (1 / np.where(is_small, 1, norm)))
    level = np.minimum(np.floor(np.abs(buckets) * ratio + u), top)
    return np.ravel(np.sign(buckets) * level * (norm * (1 / top)))
