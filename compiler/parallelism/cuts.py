"""Cuts: along which dims each parameter is cut, over which axes.

`pipeline` cuts the dim that stacks blocks, and `expert` the one that stacks experts.
`tensor` cuts the dim whose logical name its layers cut, where the size divides, and
`features` the one of the data's columns. `zero` then cuts what is left of the largest
dim that divides, the first of equals; a parameter without one stays whole on every
device.
"""

from collections.abc import Sequence
from dataclasses import replace

from diamond.compiler.parallelism.expert import EXPERT
from diamond.compiler.parallelism.features import COLUMNS
from diamond.compiler.parallelism.stack import LAYERS
from diamond.compiler.parallelism.tensor import ranks_of
from diamond.compiler.plan import MeshAxis, TensorSpec, local_tensor
from diamond.dsl import vocabulary as words

Cuts = tuple[tuple[str, ...], ...]


def with_cuts(
    tensors: Sequence[TensorSpec], axes: Sequence[MeshAxis]
) -> tuple[TensorSpec, ...]:
    """Returns the tensors with the cuts that the strategies of some axes make.

    Example:
        >>> host = MeshAxis("host", 4, strategy=words.Zero())
        >>> tensor = TensorSpec("w", (6, 8), "float32", ("embed", "mlp"))
        >>> with_cuts([tensor], [host])[0].cuts
        ((), ('host',))
    """
    cut = tuple(tensors)
    for axis in axes:
        if isinstance(axis.strategy, words.Pipeline) and axis.size > 1:
            cut = tuple(_first(tensor, LAYERS, axis) for tensor in cut)
        if isinstance(axis.strategy, words.Expert) and axis.size > 1:
            cut = tuple(_first(tensor, EXPERT, axis) for tensor in cut)
        if isinstance(axis.strategy, words.Tensor):
            cut = tuple(_by_name(tensor, axis) for tensor in cut)
        if isinstance(axis.strategy, words.Features) and axis.size > 1:
            cut = tuple(_by_column(tensor, axis) for tensor in cut)
    sizes = {axis.name: axis.size for axis in axes}
    for axis in axes:
        if isinstance(axis.strategy, words.Zero):
            cut = tuple(_by_size(tensor, axis, sizes) for tensor in cut)
    return cut


def stored(tensor: TensorSpec, axes: Sequence[MeshAxis]) -> TensorSpec:
    """Returns a tensor with the cuts that its parameters are kept with between steps.

    Stages 1 and 2 of `zero` cut what is updated, and keep the parameters whole.
    """
    whole = {axis.name for axis in axes if is_gathered_at_once(axis)}
    kept = tuple(tuple(a for a in names if a not in whole) for names in tensor.cuts)
    return replace(tensor, cuts=kept if any(kept) else ())


def is_gathered_at_once(axis: MeshAxis) -> bool:
    """Whether parameters that are cut over an axis are put together after each step."""
    return isinstance(axis.strategy, words.Zero) and axis.strategy.stage < 3


def _first(tensor: TensorSpec, name: str, axis: MeshAxis) -> TensorSpec:
    """Cuts the first dim of a tensor, if it has this name."""
    return _cut(tensor, 0, axis.name) if tensor.dims[:1] == (name,) else tensor


def _by_name(tensor: TensorSpec, axis: MeshAxis) -> TensorSpec:
    for place, (name, size) in enumerate(zip(tensor.dims, tensor.shape, strict=False)):
        if ranks_of(name, size, axis.size) > 1:
            return _cut(tensor, place, axis.name)
    return tensor


def _by_column(tensor: TensorSpec, axis: MeshAxis) -> TensorSpec:
    if COLUMNS not in tensor.dims:
        return tensor
    return _cut(tensor, tensor.dims.index(COLUMNS), axis.name)


def _by_size(tensor: TensorSpec, axis: MeshAxis, sizes: dict[str, int]) -> TensorSpec:
    left = local_tensor(tensor, sizes).shape
    dividing = [place for place, size in enumerate(left) if size % axis.size == 0]
    if axis.size == 1 or not any(left[place] for place in dividing):
        return tensor
    return _cut(tensor, max(dividing, key=lambda place: left[place]), axis.name)


def _cut(tensor: TensorSpec, place: int, axis: str) -> TensorSpec:
    cuts: Cuts = tensor.cuts or ((),) * len(tensor.shape)
    more = (*cuts[place], axis)
    return replace(tensor, cuts=(*cuts[:place], more, *cuts[place + 1 :]))
