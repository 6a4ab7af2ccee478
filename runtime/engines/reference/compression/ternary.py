"""`ternary(clip)`: each value crosses as -1, 0 or 1, times a scale that all share.

For each coded leaf, with u drawn for each value of each member from [0, 1),

    sigma_i = sqrt(mean (v_i - mean v_i)^2)
    s_i     = max |v_i|, or min(max |v_i|, clip sigma_i) where clip > 0
    s       = max_i s_i in float32
    v'_i    = v_i clipped to [-s, s]
    t_i     = sgn(v'_i) where u < |v'_i| (1/s), else 0
    mean    = (sum_i t_i) (s (1/N))

As the scale is shared, the sum is one of small integers. E mean = mean_i v'_i, which
is mean_i v_i without clipping.

Wen, Xu, Yan, Wu, Wang, Chen and Li, "TernGrad: Ternary gradients to reduce
communication in distributed deep learning", arXiv 1705.07878, 2017. Values are clipped
at the shared scale, not at each member's own.
"""

import numpy as np

from diamond.dsl.vocabulary import Ternary
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.meeting import Array, total_of
from diamond.runtime.engines.reference.noise import Use


def begin(_: Ternary, __: Array, ___: Place) -> None:
    """Remembers nothing."""


def exchange(
    term: Ternary, values: list[Array], memories: list[None], place: Place
) -> tuple[Array, list[None]]:
    """Returns the mean of one leaf."""
    kind = values[0].dtype
    tops = [top_of(v, term.clip) for v in values]
    scale = np.max(np.stack(tops)).astype(np.float32).astype(kind)
    if scale == 0:
        return np.zeros_like(values[0]), memories
    codes, seed = [], place.seed_of(Use.TERNARIES)
    for member, v in enumerate(values):
        u = noise.uniform(seed, place.count, member, v.size).astype(kind)
        codes.append(encode(v, scale, u.reshape(v.shape)))
    return total_of(codes).astype(kind) * (scale * (1 / len(values))), memories


def top_of(v: Array, clip: float) -> Array:
    """Returns s_i, the greatest value that a member would have cross.

    Example:
        >>> top_of(np.array([1.0, -1.0, 1.0, -1.0]), clip=0.5)
        array(0.5)
    """
    top = np.max(np.abs(v))
    if clip > 0:
        apart = v - np.sum(v) * (1 / v.size)
        sigma = np.sqrt(np.sum(apart * apart) * (1 / v.size))
        top = np.minimum(top, clip * sigma)
    return np.asarray(top)


def encode(v: Array, scale: Array, u: Array) -> Array:
    """Returns t_i, integers.

    Example:
        >>> encode(np.array([1.0, -3.0, 0.2]), np.array(2.0), np.full(3, 0.4)).tolist()
        [1, -1, 0]
    """
    clipped = np.clip(v, -scale, scale)
    crosses = u < np.abs(clipped) * (1 / scale)
    return np.where(crosses, np.sign(clipped), 0).astype(np.int32)
