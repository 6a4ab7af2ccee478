"""Versions: the parameters of the last steps, for rules that look back at them.

A ring: the parameters at the beginning of step t lie in slot t mod T, over those of
step t - T, which were read before. A step so writes one version and not all.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Leaves


class Versions(NamedTuple):
    """Parameters of the last T steps.

    Attributes:
        clock: `int32[]`, steps so far.
        past: `[T, ...]` a leaf; None where T is 0.
    """

    clock: jax.Array
    past: Leaves | None


def versions_of(params: Leaves, depth: int) -> Versions:
    """Returns versions that all are these parameters, as where a rule begins."""

    def repeat(leaf: jax.Array) -> jax.Array:
        return jnp.broadcast_to(leaf, (depth, *leaf.shape))

    past = jax.tree.map(repeat, params) if depth else None
    return Versions(jnp.int32(0), past)


def aged(
    leaf: jax.Array, past: jax.Array, clock: jax.Array, age: jax.Array
) -> jax.Array:
    """Returns a leaf as it was some steps ago.

    Args:
        leaf: As it is now.
        past: `[T, ...]`, its versions.
        clock: Steps so far.
        age: Steps, 0 .. T: `int32[]`, or one a coordinate, like the leaf.
    """
    slot = (clock - age) % len(past)
    if age.shape == leaf.shape:
        before = jnp.take_along_axis(past, slot[None], axis=0)[0]
    else:
        before = jax.lax.dynamic_index_in_dim(past, slot, keepdims=False)
    then: jax.Array = jnp.where(age == 0, leaf, before)
    return then


def renewed(x: Leaves, versions: Versions) -> Versions:
    """Returns the versions once the parameters of a step are among them."""
    clock = versions.clock
    if versions.past is None:
        return Versions(clock + 1, None)

    def store(leaf: jax.Array, past: jax.Array) -> jax.Array:
        ring: jax.Array = jax.lax.dynamic_update_index_in_dim(
            past, leaf, clock % len(past), 0
        )
        return ring

    return Versions(clock + 1, jax.tree.map(store, x, versions.past))
