"""SlowMo: slow momentum on the copies' mean displacement.

    b <- momentum b + d
    x <- a - lr b

with the anchor a (where the copies last met) and the displacement d = mean (a - x_i).
b is in units of parameters: the paper's b, d divided by the inner learning rate, and
multiplied by it again, so the two are equal at a constant inner learning rate.

Bill: nothing beyond the mean itself; one copy of the parameters for b.
Limits: `slowmo(lr = 1, momentum = 0)` is `average`; with `lr = 1` it is
`bmuf(lr = 1, nesterov = false)` of the same momentum.

References: J. Wang et al., SlowMo: Improving Communication-Efficient Distributed SGD
with Slow Momentum, arXiv 1910.00643, 2019; default lr 1. momentum 0.5 is for few
copies; the paper takes 0.4 to 0.8.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Outer, Tree
from diamond.compiler.exchange.symbols import weighted


class SlowMoState(NamedTuple):
    """`momentum` is like the parameters."""

    momentum: Tree


def slowmo(*, lr: float = 1.0, momentum: float = 0.5) -> Outer:
    """Returns the outer step with slow momentum.

    Args:
        lr: Slow learning rate.
        momentum: Slow momentum, in 0 .. 1.

    Example:
        >>> slowmo(lr=1.0, momentum=0.5).step(5.0, 2.0, SlowMoState(2.0))
        (2.0, SlowMoState(momentum=3.0))
    """

    def init(params: Tree) -> SlowMoState:
        return SlowMoState(jax.tree.map(jnp.zeros_like, params))

    def step(anchor: Tree, moved: Tree, state: SlowMoState) -> tuple[Tree, SlowMoState]:
        slow = jax.tree.map(lambda b, d: momentum * b + d, state.momentum, moved)
        params = jax.tree.map(lambda a, b: a - lr * b, anchor, slow)
        return params, SlowMoState(slow)

    equations = (
        f"b <- {weighted((momentum, 'b'), (1, 'd'))}",
        f"x <- {weighted((1, 'a'), (-lr, 'b'))}",
    )
    return Outer(init, step, is_mean=False, equations=equations)
