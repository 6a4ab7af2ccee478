"""Nesterov: an outer momentum step on the copies' mean displacement (DiLoCo).

    b <- momentum b + d
    x <- a - lr (d + momentum b)

with the anchor a (where the copies last met) and the displacement d = mean (a - x_i),
old minus new, so that the outer step descends.

Bill: nothing beyond the mean itself; one copy of the parameters for b.
Limits: `nesterov(lr = 1, momentum = 0)` is `average`.

References: A. Douillard et al., DiLoCo: Distributed Low-Communication Training of
Language Models, arXiv 2311.08105, 2023; defaults lr 0.7, momentum 0.9.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Outer, Tree
from diamond.compiler.exchange.symbols import weighted


class NesterovState(NamedTuple):
    """`momentum` is like the parameters."""

    momentum: Tree


def nesterov(*, lr: float = 0.7, momentum: float = 0.9) -> Outer:
    """Returns the outer step of DiLoCo.

    Args:
        lr: Outer learning rate.
        momentum: Outer momentum, in 0 .. 1.

    Example:
        >>> outer = nesterov(lr=1.0, momentum=0.5)
        >>> outer.step(5.0, 2.0, NesterovState(0.0))
        (2.0, NesterovState(momentum=2.0))
    """

    def init(params: Tree) -> NesterovState:
        return NesterovState(jax.tree.map(jnp.zeros_like, params))

    def step(
        anchor: Tree, moved: Tree, state: NesterovState
    ) -> tuple[Tree, NesterovState]:
        speed = jax.tree.map(lambda b, d: momentum * b + d, state.momentum, moved)
        params = jax.tree.map(
            lambda a, d, b: a - lr * (d + momentum * b), anchor, moved, speed
        )
        return params, NesterovState(speed)

    ahead = weighted((1, "d"), (momentum, "b"))
    ahead = f"({ahead})" if momentum else ahead
    equations = (
        f"b <- {weighted((momentum, 'b'), (1, 'd'))}",
        f"x <- {weighted((1, 'a'), (-lr, ahead))}",
    )
    return Outer(init, step, is_mean=False, equations=equations)
