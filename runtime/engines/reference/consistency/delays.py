"""Delays of virtual clocks, drawn from a seeded law.

With thresholds F_0 <= F_1 <= ... and u in [0, 1), drawn for the step and the member,
a delay is the number of the first `bound` thresholds, in float32, that are <= u:

`uniform`    M = round(2 mean);        F_k = (k + 1)/(M + 1)    for k < M
`geometric`  q = mean/(1 + mean);      F_k = 1 - q^(k + 1)
`constant`   the delay is always round(mean): F_k = 0 for k < round(mean)

so that 0, ..., M are equally likely, or k has the probability (1 - q) q^k, before the
delays above the bound become the bound. Halves are rounded to even.
"""

import numpy as np
from numpy.typing import NDArray

from diamond.dsl.vocabulary import Delays
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.noise import Use


def thresholds(law: Delays, bound: int) -> NDArray[np.float32]:
    """Returns the first `bound` thresholds, or all if there are fewer.

    Example:
        >>> thresholds(Delays("uniform", mean=1.5), bound=2)
        array([0.25, 0.5 ], dtype=float32)
    """
    if law.law == "geometric":
        q = law.mean / (1 + law.mean)
        found = [1 - q ** (k + 1) for k in range(bound)]
    elif law.law == "uniform":
        most = round(2 * law.mean)
        found = [(k + 1) / (most + 1) for k in range(min(most, bound))]
    else:
        found = [0.0] * min(round(law.mean), bound)
    return np.array(found, np.float32)


def drawn(law: Delays, bound: int, axis: ReplicaAxis, age: int) -> list[int]:
    """Returns each member's delay at a step, so many steps after the rule began."""
    members = range(axis.num_members)
    return [_drawn(law, bound, axis, age, member) for member in members]


def _drawn(law: Delays, bound: int, axis: ReplicaAxis, age: int, member: int) -> int:
    outside, place = axis.outside_of(member), axis.place_of(member)
    seed = noise.seed_of(Use.DELAYS, axis.name, law.seed, outside)
    u = noise.uniform(seed, age, place, 1)[0]
    return int((thresholds(law, bound) <= u).sum())
