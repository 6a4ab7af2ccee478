"""A group: the devices along an axis that hold one model between them.

Its collectives have exact transposes, so that layers written with them are
differentiated like any other. Values inside a cut layer differ from device to device;
values outside are equal on all of them.

    enter   x of everyone -> x here         its transpose sums what comes back
    leave   a part of the sum -> the sum    its transpose passes what comes back

Reference: Shoeybi et al., "Megatron-LM: training multi-billion parameter language
models using model parallelism", arXiv 1909.08053, 2019; section 3 calls them f and g.
"""

import functools
from typing import Any, NamedTuple

import jax
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import custom_vjp

from diamond.compiler.parallelism.precision import carried, widened
from diamond.compiler.parallelism.remat import SUMMED


class Group(NamedTuple):
    """The devices along one mesh axis, inside `shard_map`.

    Attributes:
        axis: Name of the axis.
        size: Devices along it.
        scope: Name that its collectives carry in compiled programs.
    """

    axis: str
    size: int
    scope: str

    @property
    def place(self) -> jax.Array:
        """This device's place along the axis, `int32[]`."""
        return jax.lax.axis_index(self.axis)

    def enter(self, x: jax.Array) -> jax.Array:
        """Takes a value that all have into a cut layer; gradients are summed."""

        @custom_vjp
        def entered(x: jax.Array) -> jax.Array:
            return x

        entered.defvjp(lambda x: (x, None), lambda _, back: (self._sum(back),))
        return entered(x)

    def leave(self, x: jax.Array) -> jax.Array:
        """Sums the parts of a cut layer's result; all get the gradient as it is."""

        @custom_vjp
        def left(x: jax.Array) -> jax.Array:
            return self._sum(x)

        left.defvjp(lambda x: (self._sum(x), None), lambda _, back: (back,))
        summed: jax.Array = checkpoint_name(left(x), SUMMED)
        return summed

    def largest(self, x: jax.Array) -> jax.Array:
        """Returns the largest of everyone's values, place by place, as a constant."""
        with jax.named_scope(self.scope):
            largest: jax.Array = jax.lax.pmax(jax.lax.stop_gradient(x), self.axis)
        return largest

    def pass_on(self, tree: Any) -> Any:
        """Gives arrays to the next device, and returns those of the one before."""
        pairs = [(place, (place + 1) % self.size) for place in range(self.size)]
        with jax.named_scope(self.scope):
            move = functools.partial(jax.lax.ppermute, axis_name=self.axis, perm=pairs)
            return jax.tree.map(functools.partial(carried, move), tree)

    def turn(self, x: jax.Array, cut: int, joined: int) -> jax.Array:
        """Cuts one dim over the devices and joins another; gradients turn back."""

        @custom_vjp
        def turned(x: jax.Array) -> jax.Array:
            return self._all_to_all(x, cut, joined)

        turned.defvjp(
            lambda x: (self._all_to_all(x, cut, joined), None),
            lambda _, back: (self._all_to_all(back, joined, cut),),
        )
        kept: jax.Array = checkpoint_name(turned(x), SUMMED)
        return kept

    def _all_to_all(self, x: jax.Array, cut: int, joined: int) -> jax.Array:
        with jax.named_scope(self.scope):
            return carried(
                lambda x: jax.lax.all_to_all(x, self.axis, cut, joined, tiled=True), x
            )

    def _sum(self, x: jax.Array) -> jax.Array:
        with jax.named_scope(self.scope):
            total: jax.Array = jax.lax.psum(widened(x), self.axis)
        return total.astype(x.dtype)
