"""`hogwild(max_staleness = T)`: gradients of parameters that others were writing.

Member i takes its gradient at parameters whose coordinates are of different steps:
    d_k = floor(u_k (T + 1)), u_k in [0, 1) drawn for step, member and coordinate
    g_i <- grad_i(x'),  x'_k = x_k(t - d_k)
    g_i <- mean_j g_j
where x before the first step of the rule is x at its beginning.

Limit: T = 0 is `synchronous`.

Niu, Recht, Re and Wright, "Hogwild!: a lock-free approach to parallelizing stochastic
gradient descent", arXiv 1106.5730, 2011. The races are virtual, and writes add up.
"""

from collections.abc import Sequence

import numpy as np

from diamond.runtime.engines.reference import exchange, noise, vectors
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.consistency import versions
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.noise import Use
from diamond.runtime.engines.reference.state import ReferenceState, Vector


def view(
    axis: ReplicaAxis, state: ReferenceState, here: Sequence[Vector]
) -> list[Vector]:
    """Returns x' of each member."""
    seen = versions.back_to(axis, state, here)
    return [_torn(axis, state, i, back) for i, back in enumerate(seen)]


def gradients(
    axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]
) -> Results:
    """Returns the mean of the gradients."""
    return exchange.mean_over(axis, versions.aged(axis, state), given)


def _torn(
    axis: ReplicaAxis, state: ReferenceState, member: int, back: tuple[Vector, ...]
) -> Vector:
    u = _lots(axis, state, member).astype(back[0].dtype)
    ages = np.floor(u * len(back)).astype(int)
    torn: Vector = np.stack(back)[ages, np.arange(ages.size)]
    return torn


def _lots(axis: ReplicaAxis, state: ReferenceState, member: int) -> Vector:
    """Returns u_k for each coordinate, leaf by leaf."""
    place, outside = axis.place_of(member), axis.outside_of(member)
    seed = noise.seed_of(Use.AGES, axis.name, axis.seed, outside)
    age = axis.at(state.step).age(state.step)
    sizes = [int(np.prod(s)) for s in vectors.layout_of(state.params[0]).shapes]
    return vectors.join(
        [
            noise.uniform(noise.seed_within(seed, leaf), age, place, n)
            for leaf, n in enumerate(sizes)
        ]
    )
