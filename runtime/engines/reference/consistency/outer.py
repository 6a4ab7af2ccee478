"""The outer step of `local`: where the copies go from where they last met.

With a the anchor, where the copies last met, and d = mean_i (a - x_i), old minus new,
so that d points the way a gradient does; b = 0 at the beginning:

`average` (local SGD; Stich, "Local SGD converges fast and communicates little",
arXiv 1805.09767, 2018)
    x <- a - d
`nesterov(lr, momentum)` (Douillard et al., "DiLoCo: Distributed low-communication
training of language models", arXiv 2311.08105, 2023)
    b <- momentum * b + d
    x <- a - lr * (d + momentum * b)
`slowmo(lr, momentum)` (Wang, Tantia, Ballas and Rabbat, "SlowMo: improving
communication-efficient distributed SGD with slow momentum", arXiv 1910.00643, 2020;
its form at a constant inner rate, the buffer in units of parameters)
    b <- momentum * b + d
    x <- a - lr * b
`bmuf(lr, momentum, nesterov)` (Chen and Huo, "Scalable training of deep learning
machines by incremental block training with intra-block parallel optimization and
blockwise model-update filtering", ICASSP 2016); momentum = 1 - 1/N where not given
    b' <- momentum * b - lr * d
    x  <- a + b'                                        nesterov = false
    x  <- a - momentum * b + b' + momentum * b'         nesterov = true

Limits: `nesterov(1, 0)` is `average`; `slowmo(1, m)` is `bmuf(1, m, nesterov=false)`.
"""

from collections.abc import Callable
from typing import Any

from diamond.dsl.vocabulary import Average, Bmuf, Nesterov, SlowMo, Term
from diamond.runtime.engines.reference.state import Vector

Outcome = tuple[Vector, Vector]


def outer_step(outer: Term, size: int, a: Vector, b: Vector, d: Vector) -> Outcome:
    """Returns x and b after `size` copies have met.

    Example:
        >>> import numpy as np
        >>> one = np.ones(1)
        >>> outer_step(Nesterov(lr=0.5, momentum=0.5), 2, a=4 * one, b=2 * one, d=one)
        (array([3.]), array([2.]))
    """
    return STEPS[type(outer)](outer, size, a, b, d)


def _average(outer: Average, size: int, a: Vector, b: Vector, d: Vector) -> Outcome:
    return a - d, b


def _nesterov(outer: Nesterov, size: int, a: Vector, b: Vector, d: Vector) -> Outcome:
    b = outer.momentum * b + d
    return a - outer.lr * (d + outer.momentum * b), b


def _slowmo(outer: SlowMo, size: int, a: Vector, b: Vector, d: Vector) -> Outcome:
    b = outer.momentum * b + d
    return a - outer.lr * b, b


def _bmuf(outer: Bmuf, size: int, a: Vector, b: Vector, d: Vector) -> Outcome:
    momentum = 1 - 1 / size if outer.momentum is None else outer.momentum
    after = momentum * b - outer.lr * d
    if outer.nesterov:
        return a - momentum * b + after + momentum * after, after
    return a + after, after


STEPS: dict[type, Callable[[Any, int, Vector, Vector, Vector], Outcome]] = {
    Average: _average,
    Nesterov: _nesterov,
    SlowMo: _slowmo,
    Bmuf: _bmuf,
}
