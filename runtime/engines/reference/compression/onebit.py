"""`onebit(start)`: Adam whose momentum crosses as signs once its variance is frozen.

With b1 from the scheme's Adam, and m for each coded leaf (of 1024 values and two dims
at least), the same at all members:

for the first `start` exchanges
    mean = mean_i g_i
    m   <- b1 m + (1 - b1) mean
from then on
    w_i  = b1 m + (1 - b1) g_i
    m'   = the mean of the w_i over `sign(block=1024)` with error feedback,
           both 0 wherever m is: there no gradient was ever seen
    mean = (m' - b1 m) (1/(1 - b1)), the gradient that turns Adam's m into m'
    m   <- m'

Adam's second moment does not change from then on; the optimizer sees to that.

Tang, Gan, Awan, Rajbhandari, Li, Lian, Liu, Zhang and He, "1-bit Adam: Communication
efficient large-scale training with Adam's convergence speed", arXiv 2102.02888, 2021.
The scale is |p|_1/d, which loses less than |p|_2/sqrt(d), and the bias is corrected.
"""

from typing import NamedTuple

import numpy as np

from diamond.dsl.vocabulary import OneBit, Sign
from diamond.runtime.engines.reference.compression import coded, dense, sign
from diamond.runtime.engines.reference.compression.coded import Residual, VectorCodec
from diamond.runtime.engines.reference.meeting import Array, Leaves, Meeting

SIGNS = Sign(block=dense.ONE_BIT_BLOCK, feedback=True)
CODEC = VectorCodec(sign.block_of, sign.round_trip, minds_filling=True)


class Moments(NamedTuple):
    """What one member remembers."""

    momentum: tuple[Array, ...]  # [coded leaves]: m, the same at all members
    residual: Residual  # of the signs


def start(term: OneBit, like: Leaves, num: int, meeting: Meeting) -> list[Moments]:
    """Returns no momentum and no residual."""
    is_coded = dense.are_coded(term, like, meeting.paths)
    part = dense.chosen(like, is_coded)
    still = tuple(np.zeros_like(leaf) for leaf in part)
    residuals = coded.start_coded(CODEC, SIGNS, part, num)
    return [Moments(still, residual) for residual in residuals]


def mean(
    term: OneBit, values: list[Leaves], states: list[Moments], meeting: Meeting
) -> tuple[Leaves, list[Moments]]:
    """Returns the gradient that every member gets, and what each remembers now."""
    assert meeting.decay is not None
    is_coded = dense.are_coded(term, values[0], meeting.paths)
    means = dense.mean_of_all(values)
    if meeting.count < term.start:
        part = dense.chosen(means, is_coded)
        momentum = blend(meeting.decay, states[0].momentum, part)
        return means, [state._replace(momentum=momentum) for state in states]
    parts = [dense.chosen(leaves, is_coded) for leaves in values]
    part, left = _mean_by_signs(parts, states, meeting)
    return dense.merged(means, is_coded, part), left


def _mean_by_signs(
    parts: list[Leaves], states: list[Moments], meeting: Meeting
) -> tuple[Leaves, list[Moments]]:
    b1, before = meeting.decay or 0.0, states[0].momentum
    wanted = [alive(list(blend(b1, before, part)), before) for part in parts]
    residuals = [state.residual for state in states]
    after, left = coded.mean_coded(CODEC, SIGNS, wanted, residuals, meeting)
    after = alive(after, before)
    pairs = zip(after, before, strict=True)
    given = [(new - b1 * old) * (1 / (1 - b1)) for new, old in pairs]
    return given, [Moments(tuple(after), residual) for residual in left]


def alive(leaves: Leaves, momentum: tuple[Array, ...]) -> Leaves:
    """Returns leaves that are 0 wherever the momentum is."""
    pairs = zip(leaves, momentum, strict=True)
    return [np.where(m == 0, 0 * leaf, leaf) for leaf, m in pairs]


def blend(b1: float, momentum: tuple[Array, ...], leaves: Leaves) -> tuple[Array, ...]:
    """Returns b1 m + (1 - b1) g of each leaf.

    Example:
        >>> blend(0.75, (np.array([4.0]),), [np.array([8.0])])
        (array([5.]),)
    """
    pairs = zip(momentum, leaves, strict=True)
    return tuple(b1 * m + (1 - b1) * g for m, g in pairs)
