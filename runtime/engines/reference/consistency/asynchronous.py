"""`asynchronous(max_staleness = T)`: gradients were taken some steps ago.

Member i takes its gradient of step t at x(t - d), with a delay d <= T drawn at t:
    g_i <- grad_i(x(t - d))
    g_i <- g_i (1/max(d, 1))                          compensation = damped
    g_i <- g_i + strength * g_i * g_i * (x - x(t-d))  compensation = dc
    g_i <- mean_j g_j
where x before the first step of the rule is x at its beginning.

Limits: T = 0 is `synchronous`. With a constant delay d and sgd(lr), a parabola of the
curvature h is stable if and only if lr h < 2 sin(pi/(4 d + 2)).

Lian, Huang, Li and Liu, "Asynchronous parallel stochastic gradient for nonconvex
optimization", arXiv 1506.08272, 2015. Damped: Zhang, Gupta, Lian and Liu,
"Staleness-aware async-SGD for distributed deep learning", arXiv 1511.05950, 2016. dc:
Zheng et al., "Asynchronous stochastic gradient descent with delay compensation",
arXiv 1609.08326, 2017. Here all members' gradients are applied together.
"""

from collections.abc import Sequence

import numpy as np

from diamond.dsl.vocabulary import Asynchronous
from diamond.runtime.engines.reference import exchange, replicas
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.consistency import delays, versions
from diamond.runtime.engines.reference.exchange import Results
from diamond.runtime.engines.reference.state import ReferenceState, Vector


def view(
    axis: ReplicaAxis, state: ReferenceState, here: Sequence[Vector]
) -> list[Vector]:
    """Returns x(t - d) of each member."""
    seen = versions.back_to(axis, state, here)
    pairs = zip(seen, _delays(axis, state), strict=True)
    return [back[delay] for back, delay in pairs]


def gradients(
    axis: ReplicaAxis, state: ReferenceState, given: Sequence[Vector]
) -> Results:
    """Returns the mean of the gradients, compensated for their age."""
    rule, here = axis.at(state.step).consistency, replicas.positions(state)
    compensated = [
        _compensated(rule, g, delay, x, old)
        for g, delay, x, old in zip(
            given,
            _delays(axis, state),
            here,
            view(axis, state, here),
            strict=True,
        )
    ]
    return exchange.mean_over(axis, versions.aged(axis, state), compensated)


def _delays(axis: ReplicaAxis, state: ReferenceState) -> list[int]:
    clause = axis.at(state.step)
    rule, age = clause.consistency, clause.age(state.step)
    return delays.drawn(rule.delays, rule.max_staleness, axis, age)


def _compensated(
    rule: Asynchronous, g: Vector, delay: int, x: Vector, old: Vector
) -> Vector:
    if rule.compensation == "damped":
        return g * (1 / max(delay, 1))
    if rule.compensation == "dc":
        return np.asarray(g + rule.strength * g * g * (x - old))
    return g
