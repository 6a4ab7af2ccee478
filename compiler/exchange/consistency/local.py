"""Local: each copy takes `every` steps alone; then the copies meet.

    at every H-th step:   d = mean of (a - x_i)
                          x_i <- outer(a, d)
                          a <- x_i

with a the anchor: where the copies last met. Where the mean is exact and the outer
step lands on it, x_i <- mean of x_i is formed without an anchor. The optimizer's
state stays with its copy. Where an axis further out moves the copies in the same
step, a is where they end up.

Bill: one mean of the parameters every H steps; one copy of the parameters for a, and
what the outer step holds.
Limits: `every = 1` with `average` and SGD inside is synchronous data parallelism.

References: H. B. McMahan et al., arXiv 1602.05629, 2017 (federated averaging); S.
Stich, arXiv 1805.09767, 2018 (local SGD); A. Douillard et al., arXiv 2311.08105, 2023
(DiLoCo).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Keeping, Leaves, Outer, Rule, State


class LocalState(NamedTuple):
    """`anchor` is like the parameters, or None; `outer` is the outer step's own."""

    anchor: Leaves | None
    outer: State


def local(
    *,
    every: int,
    outer: Outer,
    is_exact: bool,
    has_anchor: bool | None = None,
    keeping: Keeping = "keep",
) -> Rule:
    """Returns the rule of local steps.

    Args:
        every: Steps between two exchanges.
        outer: What the copies do when they meet.
        is_exact: Whether the mean loses nothing, so that parameters themselves may
            be averaged; otherwise only displacements are.
        has_anchor: Whether an anchor is kept where none is needed, since another
            codec of the same clause needs one; as needed where not given.
        keeping: What happens to the optimizer's state when the copies meet.
    """
    if is_exact and outer.is_mean:
        return averaged(every=every, has_anchor=bool(has_anchor), keeping=keeping)

    def init(params: Leaves, mean: Leaves) -> LocalState:
        return LocalState(jax.tree.map(jnp.copy, params), outer.init(params))

    def offer(params: Leaves, x: Leaves, state: LocalState) -> Leaves:
        moved: Leaves = jax.tree.map(lambda a, x: a - x, state.anchor, params)
        return moved

    def accept(
        params: Leaves, moved: Leaves, x: Leaves, state: LocalState
    ) -> tuple[Leaves, LocalState]:
        params, inner = outer.step(state.anchor, moved, state.outer)
        return params, LocalState(state.anchor, inner)

    def rebase(params: Leaves, state: LocalState) -> LocalState:
        return LocalState(params, state.outer)

    return Rule(
        subject="parameters",
        every=every,
        init=init,
        offer=offer,
        accept=accept,
        equations=("d = mean[a - x]", *outer.equations, "a <- x"),
        begin=rebase,
        rebase=rebase,
        keeping=keeping,
    )


def averaged(
    *, every: int, has_anchor: bool = False, keeping: Keeping = "keep"
) -> Rule:
    """Returns the rule by which parameters become what the mixer makes of them."""

    def init(params: Leaves, mean: Leaves) -> LocalState:
        return LocalState(jax.tree.map(jnp.copy, params) if has_anchor else None, ())

    def rebase(params: Leaves, state: LocalState) -> LocalState:
        return LocalState(params, ()) if has_anchor else state

    def accept(
        params: Leaves, mean: Leaves, x: Leaves, state: LocalState
    ) -> tuple[Leaves, LocalState]:
        return mean, state

    return Rule(
        subject="parameters",
        every=every,
        init=init,
        offer=lambda params, x, state: params,
        accept=accept,
        equations=("x <- mean[x]",),
        begin=rebase,
        rebase=rebase,
        keeping=keeping,
    )
