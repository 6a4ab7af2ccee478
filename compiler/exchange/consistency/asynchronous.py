"""Asynchronous: gradients are taken at parameters that are some steps old.

    g_i = gradient at x(t - tau_i)         tau_i drawn, 0 .. T
    none:    g <- mean of g_i
    damped:  g <- mean of g_i / max(tau_i, 1)
    dc:      g <- mean of g_i + strength g_i g_i (x(t) - x(t - tau_i))

as if each copy had read the parameters tau_i steps before its gradient arrived. `dc`
corrects the gradient to first order, with g g in place of the Hessian. All copies
apply the same mean and stay equal.

Bill: one mean of the gradients a step; T copies of the parameters in memory. The
clocks are virtual: the rule gives the trajectory of a seeded law, in lock step.
Limits: `max_staleness = 0` is `synchronous`, whatever the compensation.
Traps: at curvature h and a constant delay tau the learning rate must be less than
(2/h) sin(pi / (4 tau + 2)): 2, 1, 0.62, 0.45 over h for tau = 0, 1, 2, 3.

References: J. Dean et al., Large Scale Distributed Deep Networks, NIPS 2012 (Downpour);
W. Zhang et al., Staleness-aware Async-SGD for Distributed Deep Learning, arXiv
1511.05950, 2015 (damped); S. Zheng et al., Asynchronous Stochastic Gradient Descent
with Delay Compensation, arXiv 1609.08326, 2016 (dc; strength 0.04).
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Leaves, Rule
from diamond.compiler.exchange.delays import Law
from diamond.compiler.exchange.symbols import weighted
from diamond.compiler.exchange.versions import (
    Versions,
    aged,
    renewed,
    versions_of,
)
from diamond.compiler.exchange.wire import Wire


def asynchronous(
    *,
    max_staleness: int = 4,
    compensation: str = "none",
    strength: float = 0.04,
    delays: Law,
    wire: Wire,
) -> Rule:
    """Returns the rule that averages gradients taken at old parameters.

    Args:
        max_staleness: Most steps old.
        compensation: `none`, `damped` or `dc`.
        strength: Strength of `dc`.
        delays: Law of the ages, cut off at `max_staleness`.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.delays import law_of
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> law = law_of(law="uniform", mean=1.0, seed=0, most=2)
        >>> wire = mesh_wire("host", 4)
        >>> asynchronous(max_staleness=2, delays=law, wire=wire).equations[-1]
        'g <- mean[g]'
    """

    def begin(params: Leaves, state: Versions) -> Versions:
        return versions_of(params, max_staleness)

    def view(x: Leaves, state: Versions) -> Leaves:
        if state.past is None:
            return x
        age = delays.draw(state.clock, wire)
        return [
            aged(leaf, past, state.clock, age)
            for leaf, past in zip(x, state.past, strict=True)
        ]

    def offer(gradients: Leaves, x: Leaves, state: Versions) -> Leaves:
        if compensation == "damped":
            age = delays.draw(state.clock, wire)
            return [g * (1 / jnp.maximum(age, 1).astype(g.dtype)) for g in gradients]
        if compensation == "dc":
            return jax.tree.map(  # type: ignore[no-any-return]
                lambda g, now, then: g + strength * g * g * (now - then),
                gradients,
                x,
                view(x, state),
            )
        return gradients

    def accept(
        gradients: Leaves, mean: Leaves, x: Leaves, state: Versions
    ) -> tuple[Leaves, Versions]:
        return mean, renewed(x, state)

    ahead = "g g (x - x of tau steps ago)"
    corrected = {
        "none": (),
        "damped": ("g <- g / max(tau, 1)",),
        "dc": (f"g <- {weighted((1, 'g'), (strength, ahead))}",),
    }
    return Rule(
        subject="gradients",
        every=1,
        init=lambda params, mean: versions_of(params, max_staleness),
        offer=offer,
        accept=accept,
        equations=(
            f"g is taken at x of tau steps ago, tau drawn: {delays.name}",
            *corrected[compensation],
            "g <- mean[g]",
        ),
        begin=begin,
        view=view,
    )
