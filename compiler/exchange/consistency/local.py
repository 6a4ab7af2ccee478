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

References: S. Stich, arXiv 1805.09767, 2018 (local SGD); A. Douillard et al., arXiv
2311.08105, 2023 (DiLoCo).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Outer, Rule, State, Tree


class LocalState(NamedTuple):
    """`anchor` is like the parameters, or None; `outer` is the outer step's own."""

    anchor: Tree | None
    outer: State


def local(
    *, every: int, outer: Outer, is_exact: bool, has_anchor: bool | None = None
) -> Rule:
    """Returns the rule of local steps.

    Args:
        every: Steps between two exchanges.
        outer: What the copies do when they meet.
        is_exact: Whether the mean loses nothing, so that parameters themselves may
            be averaged; otherwise only displacements are.
        has_anchor: Whether an anchor is kept where none is needed, since another
            codec of the same clause needs one; as needed where not given.
    """
    if is_exact and outer.is_mean:
        return _average(every, bool(has_anchor))

    def init(params: Tree) -> LocalState:
        return LocalState(jax.tree.map(jnp.copy, params), outer.init(params))

    def offer(params: Tree, state: LocalState) -> Tree:
        return jax.tree.map(lambda a, x: a - x, state.anchor, params)

    def accept(params: Tree, moved: Tree, state: LocalState) -> tuple[Tree, LocalState]:
        params, inner = outer.step(state.anchor, moved, state.outer)
        return params, LocalState(state.anchor, inner)

    return Rule(
        subject="parameters",
        every=every,
        init=init,
        offer=offer,
        accept=accept,
        rebase=lambda params, state: LocalState(params, state.outer),
        equations=("d = mean[a - x]", *outer.equations, "a <- x"),
    )


def _average(every: int, has_anchor: bool) -> Rule:
    def init(params: Tree) -> LocalState:
        return LocalState(jax.tree.map(jnp.copy, params) if has_anchor else None, ())

    def rebase(params: Tree, state: LocalState) -> LocalState:
        return LocalState(params, ()) if has_anchor else state

    def accept(params: Tree, mean: Tree, state: LocalState) -> tuple[Tree, LocalState]:
        return mean, state

    return Rule(
        subject="parameters",
        every=every,
        init=init,
        offer=lambda params, state: params,
        accept=accept,
        rebase=rebase,
        equations=("x <- mean[x]",),
    )
