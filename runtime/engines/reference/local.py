"""The outer step of `local`: what the copies do when they meet.

With a the anchor, where the copies last met, and d = mean_i (a - x_i), old minus
new, so that d points the way a gradient does:

`average` (local SGD; Stich, "Local SGD converges fast and communicates little",
arXiv 1805.09767, 2018)
    x <- a - d
    which is mean_i x_i, and is taken as that where the codec is `none`
`nesterov(lr, momentum)` (Douillard et al., "DiLoCo: Distributed low-communication
training of language models", arXiv 2311.08105, 2023)
    b <- momentum * b + d
    x <- a - lr * (d + momentum * b)

With lr = 1 and momentum = 0 the second is the first.
"""

from diamond.dsl.vocabulary import Average, Local, Nesterov, NoCompression
from diamond.runtime.engines.reference.state import Vector
from diamond.runtime.engines.reference.timeline import Clause


def exchanges_parameters(clause: Clause) -> bool:
    """Says whether x itself crosses the axis, rather than the way since the anchor."""
    rule = clause.consistency
    if not isinstance(rule, Local):
        return False
    averages = isinstance(rule.outer, Average)
    return averages and isinstance(clause.compression, NoCompression)


def outer_step(rule: Local, a: Vector, b: Vector, d: Vector) -> tuple[Vector, Vector]:
    """Returns x and b after the copies have met.

    Example:
        >>> import numpy as np
        >>> one = np.ones(1)
        >>> rule = Local(every=9, outer=Nesterov(lr=0.5, momentum=0.5))
        >>> outer_step(rule, a=4 * one, b=2 * one, d=one)
        (array([3.]), array([2.]))
    """
    outer = rule.outer
    if isinstance(outer, Average):
        return a - d, b
    assert isinstance(outer, Nesterov)
    b = outer.momentum * b + d
    return a - outer.lr * (d + outer.momentum * b), b
