"""Fragments: a model cut into parts that are exchanged in turn.

Tensors of one layer stay together: those whose paths agree up to the first component
with a digit in it (or, without one, in the first component). Layers go to fragments in
turn, so that a fragment is spread over the depth of the model.
"""

from collections.abc import Sequence

from diamond.compiler.plan import TensorSpec
from diamond.dsl.legality.layers import layer_of


def fragments_of(
    tensors: Sequence[TensorSpec], parts: int
) -> tuple[tuple[int, ...], ...]:
    """Returns the indices of each fragment's tensors.

    Raises:
        ValueError: If there are fewer layers than fragments.

    Example:
        >>> paths = ("blocks/0/w", "blocks/1/b", "blocks/1/w", "head/w")
        >>> fragments_of([TensorSpec(path, (2,), "float32") for path in paths], 2)
        ((0, 3), (1, 2))
    """
    if parts == 1:
        return (tuple(range(len(tensors))),)
    layers = list(dict.fromkeys(layer_of(tensor.path) for tensor in tensors))
    if len(layers) < parts:
        raise ValueError(
            f"`fragments = {parts}`, but the model has {len(layers)} layers to cut it "
            f"at: {', '.join(layers)}"
        )
    chosen: list[list[int]] = [[] for _ in range(parts)]
    for place, tensor in enumerate(tensors):
        chosen[layers.index(layer_of(tensor.path)) % parts].append(place)
    return tuple(tuple(places) for places in chosen)
