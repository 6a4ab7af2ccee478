"""BMUF: block-wise model update filtering, momentum from block to block.

    b' = momentum b - lr d
    classic:   x <- a + b'
    nesterov:  x <- a - momentum b + b' + momentum b'
    b <- b'

with the anchor a (where the copies last met) and the displacement d = mean (a - x_i).
With nesterov the next block starts ahead of the filtered model a - momentum b by the
momentum that is to come.

Bill: nothing beyond the mean itself; one copy of the parameters for b.
Limits: `bmuf(lr = 1, momentum = 0)` is `average`; classic with `lr = 1` is
`slowmo(lr = 1)` of the same momentum.

References: K. Chen, Q. Huo, Scalable Training of Deep Learning Machines by Incremental
Block Training with Intra-block Parallel Optimization and Blockwise Model-Update
Filtering, ICASSP 2016; default momentum 1 - 1/N, so that the N copies' steps add up.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Outer, Tree
from diamond.compiler.exchange.symbols import weighted


class BmufState(NamedTuple):
    """`momentum` is like the parameters."""

    momentum: Tree


def bmuf(
    *,
    lr: float = 1.0,
    momentum: float | None = None,
    nesterov: bool = True,
    size: int,
) -> Outer:
    """Returns the outer step that filters block updates.

    Args:
        lr: Block learning rate.
        momentum: Block momentum, in 0 .. 1; 1 - 1/N where not given.
        nesterov: Whether the next block starts ahead.
        size: Number of copies, N.

    Example:
        >>> bmuf(nesterov=False, size=2).step(5.0, 2.0, BmufState(-2.0))
        (2.0, BmufState(momentum=-3.0))
        >>> bmuf(size=2).step(5.0, 2.0, BmufState(-2.0))
        (1.5, BmufState(momentum=-3.0))
    """
    kept = 1 - 1 / size if momentum is None else momentum

    def init(params: Tree) -> BmufState:
        return BmufState(jax.tree.map(jnp.zeros_like, params))

    def start(a: Tree, b: Tree, new: Tree) -> Tree:
        return a - kept * b + new + kept * new if nesterov else a + new

    def step(anchor: Tree, moved: Tree, state: BmufState) -> tuple[Tree, BmufState]:
        old = state.momentum
        new = jax.tree.map(lambda b, d: kept * b - lr * d, old, moved)
        return jax.tree.map(start, anchor, old, new), BmufState(new)

    ahead = weighted((1, "a"), (-kept, "b"), (1, "b'"), (kept, "b'"))
    equations = (
        f"b' = {weighted((kept, 'b'), (-lr, 'd'))}",
        f"x <- {ahead}" if nesterov else "x <- a + b'",
        "b <- b'",
    )
    return Outer(init, step, is_mean=False, equations=equations)
