"""`dgc(density, momentum)`: top-k of what momentum has made of the gradients.

For each coded leaf,

    u_i <- momentum u_i + v_i
    w_i <- w_i + u_i
    c_i  = w_i at the places of its k greatest |w_i|, as in `topk`; 0 elsewhere
    u_i, w_i <- 0 at those places
    mean = (c_0 + c_1 + ...) (1/N)

With density 1 nothing is kept back and the momentum has no effect: it is the mean.
The mean of a dense leaf has the momentum too:

    u    <- momentum u + mean_i v_i
    mean  = u

Lin, Han, Mao, Wang and Dally, "Deep gradient compression: Reducing the communication
bandwidth for distributed training", arXiv 1712.01887, 2017. Gradients are not clipped
here, and the threshold is exact, not sampled.
"""

from typing import NamedTuple

import numpy as np

from diamond.dsl.vocabulary import Dgc
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.compression.topk import largest, where
from diamond.runtime.engines.reference.meeting import Array, average_decoded


class Corrected(NamedTuple):
    """What one member has gathered of one leaf since it was last sent."""

    momentum: Array  # [the leaf's shape]: u
    total: Array  # [the leaf's shape]: w


def begin(_: Dgc, leaf: Array, __: Place) -> Corrected:
    """Returns zeros."""
    return Corrected(np.zeros_like(leaf), np.zeros_like(leaf))


class Smoothed(NamedTuple):
    """What one member remembers of one dense leaf."""

    momentum: Array  # [the leaf's shape]: u


def begin_dense(_: Dgc, leaf: Array) -> Smoothed:
    """Returns zeros."""
    return Smoothed(np.zeros_like(leaf))


def arrive_dense(
    term: Dgc, mean: Array, memories: list[Smoothed]
) -> tuple[Array, list[Smoothed]]:
    """Returns the mean of one dense leaf with its momentum, which is kept."""
    left = [Smoothed(term.momentum * held.momentum + mean) for held in memories]
    return left[0].momentum, left


def exchange(
    term: Dgc, values: list[Array], memories: list[Corrected], _: Place
) -> tuple[Array, list[Corrected]]:
    """Returns the mean of one leaf, and what has not been sent of it."""
    sent, left = [], []
    for v, memory in zip(values, memories, strict=True):
        u = term.momentum * memory.momentum + v
        w = memory.total + u
        is_sent = largest(w, term.density)
        sent.append(where(is_sent, w))
        left.append(Corrected(where(~is_sent, u), where(~is_sent, w)))
    return average_decoded(sent), left
