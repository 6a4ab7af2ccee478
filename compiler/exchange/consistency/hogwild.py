"""Hogwild: gradients are taken at parameters whose coordinates differ in age.

    g_i = gradient at v_i,  v_i[k] = x(t - tau_ik)[k]      tau_ik in 0 .. T, evenly
    g <- mean of g_i

as if copies read the parameters while others write them, without a lock. All copies
apply the same mean and stay equal.

Bill: one mean of the gradients a step; T copies of the parameters in memory. The races
are drawn, so a run repeats itself bit for bit, which a run with real ones does not.
Limits: `max_staleness = 0` is `synchronous`.
Traps: the paper's rates need gradients that are sparse, where races are rare; dense
ones see a mixture of versions at every step.

References: F. Niu et al., HOGWILD!: A Lock-Free Approach to Parallelizing Stochastic
Gradient Descent, arXiv 1106.5730, 2011. Writes here never get lost: all of them add
up, as with an atomic add.
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Leaves, Rule
from diamond.compiler.exchange.noise import Stream, key_of, seed_within, uniform
from diamond.compiler.exchange.versions import (
    Versions,
    aged,
    renewed,
    versions_of,
)
from diamond.compiler.exchange.wire import Wire


def hogwild(*, max_staleness: int = 2, wire: Wire) -> Rule:
    """Returns the rule that averages gradients taken at a mixture of versions.

    Args:
        max_staleness: Most steps that a coordinate is old.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> hogwild(max_staleness=2, wire=mesh_wire("host", 4)).equations[-1]
        'g <- mean[g]'
    """

    def age(place: int, leaf: jax.Array, clock: jax.Array) -> jax.Array:
        seed = seed_within(wire.stream(Stream.AGES), place)
        drawn = uniform(key_of(seed, clock, wire.place()), leaf.shape)
        return jnp.floor(drawn.astype(leaf.dtype) * (max_staleness + 1)).astype("int32")

    def view(x: Leaves, state: Versions) -> Leaves:
        if state.past is None:
            return x
        return [
            aged(leaf, past, state.clock, age(place, leaf, state.clock))
            for place, (leaf, past) in enumerate(zip(x, state.past, strict=True))
        ]

    def accept(
        gradients: Leaves, mean: Leaves, x: Leaves, state: Versions
    ) -> tuple[Leaves, Versions]:
        return mean, renewed(x, state)

    return Rule(
        subject="gradients",
        every=1,
        init=lambda params, mean: versions_of(params, max_staleness),
        offer=lambda gradients, x, state: gradients,
        accept=accept,
        equations=(
            "g is taken at x of tau steps ago, tau drawn for each coordinate, "
            f"evenly in 0 .. {max_staleness}",
            "g <- mean[g]",
        ),
        begin=lambda params, state: versions_of(params, max_staleness),
        view=view,
    )
