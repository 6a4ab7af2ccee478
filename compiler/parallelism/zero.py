"""ZeRO: optimizer state, gradients and parameters are held in shards.

Every device of the axis takes another share of the batch and owns one shard of each
parameter: it alone keeps the optimizer's state of it and updates it.

    stage 1, 2   g <- reduce-scatter of g/N; the shard is updated; x <- all-gather
    stage 3      x stays in shards: all-gather before use and again for the gradient,
                 whose transpose is the reduce-scatter

The largest dim that divides by N is cut, the first of equal ones; a parameter without
one stays whole on every device, and its gradients are summed. Stage 1 adds the
gradients of microbatches up whole, stages 2 and 3 in shards. What a layer has of one
element type crosses at once, in one message.

With `compression` gradients cross in a codec's form, and no reduction is done on the
way. With g_i the gradient of device i's own share of the batch, whole,

    p_i  = g_i + e_i        e_i <- p_i - C(p_i)
    g[j] = (1/N) sum_i C(p_i)[j]  at the device that owns shard j

A device cuts its gradient in one piece an owner before it is encoded, so that blocks
never span pieces, and sends the pieces in the codec's own element types; the owner
decodes what it hears and adds it up in the order of the devices. Parameters come back
as they are. A tensor whose pieces do not fill a block each is reduced as it is, and so
are those of `exclude`. Codecs that code each block by itself have such a form (`cast`,
`int8`, `int4`, `qsgd`, `sign`); the others are refused.

Microbatches are added up before they are encoded, once a step: at every stage the
gradient is held whole until then, at stage 3 too, where the transpose of the gather
hands it out. What is lost (`feedback`) is as large, of each device apart. Beside other
strategies a codec sees one device's cut of the gradient; over `sequence` and `expert`
gradients are summed first, and that sum is of whole gradients and not of shards.

Bill, for V values on a device and M microbatches: 2V(N-1)/N at stage 1, (M+1)V(N-1)/N
at stage 2, and at most 3MV(N-1)/N at stage 3, since parameters that the gradient does
not need are gathered once. With `precision = bf16` stage 3 gathers 2 bytes a value and
adds up 4; at stages 1 and 2 the fp32 parameters are gathered. A device holds the
optimizer's state of V/N values, and at stage 3 V/N parameters between steps. A code of
p bytes takes p(N-1)/N in the place of the gradients', once a step, and 4V bytes of
gradients and 4V of feedback on each device.

Limits: with N = 1, and in what is computed, it is training on one device, up to what a
codec rounds.

References: S. Rajbhandari, J. Rasley, O. Ruwase and Y. He, "ZeRO: memory optimizations
toward training trillion parameter models", arXiv 1910.02054, 2019; G. Wang et al.,
"ZeRO++: extremely efficient collective communication for giant model training", arXiv
2306.10209, 2023, for codes of gradients (in two hops and without feedback there).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
from jax.custom_derivatives import custom_vjp

from diamond.compiler.parallelism.packing import (
    packed,
    put_together,
    taken_apart,
    unpacked,
)
from diamond.compiler.parallelism.precision import carried, narrowed, widened
from diamond.compiler.parallelism.remat import kept_between
from diamond.compiler.plan import MeshAxis, TensorSpec
from diamond.compiler.scopes import SCOPE, scope_of
from diamond.dsl import vocabulary as words
from diamond.dsl.legality.layers import layer_of

Leaves = list[Any]

# To keep a gathered parameter in another form would be to keep it.
_FORMS = {"bitcast_convert_type", "broadcast_in_dim", "convert_element_type"}
_FORMS |= {"dynamic_slice", "reshape", "slice", "split", "squeeze", "transpose"}


class Zero(NamedTuple):
    """The shards of one axis, inside `shard_map`.

    Attributes:
        axis: Name of the axis.
        size: Devices along it.
        stage: 1, 2 or 3.
        dims: For each parameter the dim that is cut, None where it is whole.
        together: The parameters that are cut, by what crosses in one message.
        scope: Name that its collectives carry in compiled programs.
    """

    axis: str
    size: int
    stage: int
    dims: tuple[int | None, ...]
    together: tuple[tuple[int, ...], ...]
    scope: str

    def own(self, leaves: Sequence[Any]) -> Leaves:
        """Returns this device's shards of whole parameters."""
        return [self._shard(x, dim) for x, dim in zip(leaves, self.dims, strict=True)]

    def gather(self, shards: Sequence[Any]) -> Leaves:
        """Puts the parameters together from everyone's shards."""
        return self._by_message(shards, self._gathered)

    def gather_narrow(self, shards: Sequence[Any]) -> Leaves:
        """Puts them together in bf16; their gradients are added up in fp32."""
        return self._by_message(shards, self._gathered_narrow)

    def gather_for(
        self, gather: Callable[[Leaves], Leaves], shards: Leaves, wholes: Leaves
    ) -> Leaves:
        """Puts them together so that `wholes` get the gradient, which stays whole.

        Args:
            gather: How they are put together.
            shards: This device's; they get no gradient.
            wholes: Arrays like the parameters, that no value depends on.
        """

        def together(shards: Leaves, wholes: Leaves) -> Leaves:
            del wholes
            return gather(shards)

        def forward(shards: Leaves, wholes: Leaves) -> tuple[Leaves, None]:
            return together(shards, wholes), None

        def backward(_: None, back: Leaves) -> tuple[None, Leaves]:
            pairs = zip(back, wholes, strict=True)
            return None, [g.astype(x.dtype) for g, x in pairs]

        gathered = custom_vjp(together)
        gathered.defvjp(forward, backward)
        found: Leaves = gathered(shards, wholes)
        return found

    def reduce(self, leaves: Sequence[Any]) -> Leaves:
        """Returns this device's shards of everyone's sum."""
        return self._by_message(self.sum_whole(leaves), self._scattered)

    def sum_whole(self, leaves: Sequence[Any]) -> Leaves:
        """Sums what is not cut, and leaves the rest."""
        pairs = zip(leaves, self.dims, strict=True)
        with jax.named_scope(self.scope):
            return [self._sum(g) if dim is None else g for g, dim in pairs]

    def forgetting(
        self, function: Callable[..., Any], remat: str
    ) -> Callable[..., Any]:
        """Returns a function whose gradient gathers again instead of keeping."""
        return jax.checkpoint(function, policy=kept_between(remat) or self._is_kept)

    def _is_kept(self, primitive: Any, *given: Any, **params: Any) -> bool:
        if primitive.name == "all_gather":
            return self.axis not in params["axis_name"]
        if primitive.name == "concatenate":  # of vectors: the shards of a message
            return bool(given[0].ndim > 1)
        return primitive.name not in _FORMS

    def _shard(self, x: Any, dim: int | None) -> Any:
        if dim is None:
            return x
        size = x.shape[dim] // self.size
        start = jax.lax.axis_index(self.axis) * size
        return jax.lax.dynamic_slice_in_dim(x, start, size, dim)

    def _by_message(
        self,
        leaves: Sequence[Any],
        cross: Callable[[Leaves, Sequence[int]], Leaves],
    ) -> Leaves:
        crossed = list(leaves)
        for places in self.together:
            dims = [dim for place in places if (dim := self.dims[place]) is not None]
            made = cross([leaves[place] for place in places], dims)
            for place, leaf in zip(places, made, strict=True):
                crossed[place] = leaf
        return crossed

    def _gathered(self, shards: Leaves, dims: Sequence[int]) -> Leaves:
        if len(shards) == 1:
            return [self._gather(shards[0], axis=dims[0], tiled=True)]
        return put_together(self._gather(packed(shards)), shards, dims)

    def _gathered_narrow(self, shards: Leaves, dims: Sequence[int]) -> Leaves:
        def together(shards: Leaves) -> Leaves:
            return self._gathered(narrowed(shards), dims)

        def backward(_: None, back: Leaves) -> tuple[Leaves]:
            return (self._scattered([widened(each) for each in back], dims),)

        gathered = custom_vjp(together)
        gathered.defvjp(lambda shards: (together(shards), None), backward)
        found: Leaves = gathered(shards)
        return found

    def _scattered(self, leaves: Leaves, dims: Sequence[int]) -> Leaves:
        if len(leaves) == 1:
            return [self._scatter(leaves[0], scatter_dimension=dims[0], tiled=True)]
        rows, shards = taken_apart(leaves, dims, self.size)
        return unpacked(self._scatter(rows), shards)

    def _gather(self, x: Any, **how: Any) -> Any:
        with jax.named_scope(self.scope):
            return carried(lambda x: jax.lax.all_gather(x, self.axis, **how), x)

    def _scatter(self, x: Any, **how: Any) -> Any:
        with jax.named_scope(self.scope):
            return jax.lax.psum_scatter(x, self.axis, **how)

    def _sum(self, x: Any) -> Any:
        return jax.lax.psum(x, self.axis)


def zero_of(axis: MeshAxis, tensors: Sequence[TensorSpec]) -> Zero | None:
    """Returns the shards of an axis, where it has some."""
    if not isinstance(axis.strategy, words.Zero) or axis.size == 1:
        return None
    dims = tuple(_dim_of(tensor, axis.name) for tensor in tensors)
    scope, stage = SCOPE + scope_of(axis), axis.strategy.stage
    return Zero(axis.name, axis.size, stage, dims, _together(tensors, dims), scope)


def _together(
    tensors: Sequence[TensorSpec], dims: Sequence[int | None]
) -> tuple[tuple[int, ...], ...]:
    """Returns what is cut, tensors of one layer and element type together."""
    messages: dict[tuple[str, str], list[int]] = {}
    for place, (tensor, dim) in enumerate(zip(tensors, dims, strict=True)):
        if dim is not None:
            key = layer_of(tensor.path), tensor.dtype
            messages.setdefault(key, []).append(place)
    return tuple(tuple(places) for places in messages.values())


def _dim_of(tensor: TensorSpec, axis: str) -> int | None:
    return next((dim for dim, axes in enumerate(tensor.cuts) if axis in axes), None)
