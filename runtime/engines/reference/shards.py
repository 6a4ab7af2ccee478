"""Shards: the cuts of one copy's parameters, each of which is exchanged by itself.

A copy that several devices hold between them crosses an axis of replicas cut by cut: a
codec sees one device's cut of each leaf and nothing else. Where a leaf is whole on all
of them, each exchanges the same values in the same way.

    pipeline cuts the first dim of stacked blocks, in equal parts
    expert   cuts the first dim of stacked experts, in equal parts
    tensor   cuts the first dim of heads (of keys, too), mlp or vocab whose size divides
    features cuts the dim of the data's columns
    zero     cuts the largest dim, of what is left, whose size divides; the first of
             equal ones
"""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from diamond.dsl.vocabulary import (
    Expert,
    Features,
    NoCompression,
    Pipeline,
    Scheme,
    Tensor,
    Zero,
)
from diamond.runtime.engines.reference.meeting import Leaves
from diamond.runtime.engines.reference.vectors import Layout

Cut = tuple[slice, ...]
NAMES = ("heads", "kv_heads", "mlp", "vocab")


@dataclass(frozen=True)
class Cutter:
    """How one copy is cut up.

    Attributes:
        experts: Devices that hold some experts of each layer.
        tensor: Devices that hold parts of layers.
        zero: Devices that hold shards of what those hold.
        dims: Path of each leaf -> a name for each of its dims.
        stages: Devices that hold some blocks each.
        features: Devices that hold some columns of the data each.
    """

    tensor: int = 1
    zero: int = 1
    dims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stages: int = 1
    experts: int = 1
    features: int = 1

    @property
    def num(self) -> int:
        """Devices that hold one copy between them."""
        over = (self.stages, self.experts, self.tensor, self.features, self.zero)
        return math.prod(over)

    def cuts(self, layout: Layout) -> list[tuple[Cut, ...]]:
        """Returns for each device that holds part of a copy the cuts of its leaves."""
        leaves = [
            self._cuts(shape, self.dims.get(path, ()))
            for path, shape in zip(layout.paths, layout.shapes, strict=True)
        ]
        return list(zip(*leaves, strict=True))

    def owners(self, layout: Layout) -> list[tuple[tuple[Cut, ...], ...]]:
        """Returns for each cut by other strategies those of its shards' owners."""
        outside, inside = self.stages * self.experts, self.tensor * self.features
        devices = self.cuts(layout)
        return [
            tuple(devices[(o * self.zero + z) * inside + i] for z in range(self.zero))
            for o in range(outside)
            for i in range(inside)
        ]

    def _cuts(self, shape: tuple[int, ...], names: tuple[str, ...]) -> list[Cut]:
        """Returns a leaf's cut on each device, those of the tensor axis innermost."""
        parts = np.ones(len(shape), int)
        stacked, mixed = names[:1] == ("layers",), names[:1] == ("expert",)
        if stacked or mixed:
            parts[0] = self.stages if stacked else self.experts
        fitting = [
            k
            for k, name in enumerate(names)
            if name in NAMES and shape[k] % self.tensor == 0
        ]
        along = fitting[0] if fitting else None
        if along is not None:
            parts[along] *= self.tensor
        column = names.index("features") if "features" in names else None
        if column is not None:
            parts[column] *= self.features
        left = np.array(shape, int) // parts
        dividing = [k for k in range(len(shape)) if left[k] % self.zero == 0]
        inside = max(dividing, key=lambda k: (left[k], -k)) if dividing else None
        return [
            self._cut(
                shape,
                (
                    (0 if stacked else None, p),
                    (0 if mixed else None, e),
                    (along, t),
                    (column, f),
                    (inside, z),
                ),
            )
            for p, e, z, t, f in itertools.product(
                range(self.stages),
                range(self.experts),
                range(self.zero),
                range(self.tensor),
                range(self.features),
            )
        ]

    def _cut(
        self, shape: tuple[int, ...], places: tuple[tuple[int | None, int], ...]
    ) -> Cut:
        cut = [slice(0, size) for size in shape]
        nums = (self.stages, self.experts, self.tensor, self.features, self.zero)
        for (dim, place), num in zip(places, nums, strict=True):
            if dim is not None:
                size = (cut[dim].stop - cut[dim].start) // num
                start = cut[dim].start + place * size
                cut[dim] = slice(start, start + size)
        return tuple(cut)


WHOLE = Cutter()


def cutter_of(scheme: Scheme, dims: Mapping[str, tuple[str, ...]]) -> Cutter:
    """Reads how a scheme cuts one copy up."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    found = {type(each.strategy): sizes[each.axis] for each in scheme.parallelism}
    return Cutter(
        found.get(Tensor, 1),
        found.get(Zero, 1),
        dims,
        found.get(Pipeline, 1),
        found.get(Expert, 1),
        found.get(Features, 1),
    )


def shares_of(scheme: Scheme) -> int:
    """Returns into how many parts a copy's share of the batch is cut before routing.

    Where nothing is routed parts make no difference, but those of the devices whose
    gradients are coded by themselves.
    """
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    found = {type(each.strategy): sizes[each.axis] for each in scheme.parallelism}
    if Expert in found:
        return found[Expert] * found.get(Zero, 1) * scheme.train.accumulate
    terms = [each.strategy for each in scheme.parallelism]
    is_coded = any(
        isinstance(term, Zero) and not isinstance(term.compression, NoCompression)
        for term in terms
    )
    return found[Zero] if is_coded else 1


def splits_examples(term: object) -> bool:
    """Says whether the devices of a strategy take different examples of a share."""
    return isinstance(term, Zero | Expert)


def names_of(dims: Any, above: str = "") -> dict[str, tuple[str, ...]]:
    """Returns the path of each leaf of a tree of names, with the names.

    Example:
        >>> names_of({"out": {"w": ("mlp", "embed")}})
        {'out/w': ('mlp', 'embed')}
    """
    if not isinstance(dims, dict):
        return {above: tuple(dims)} if above else {}
    return {
        path: names
        for key, child in dims.items()
        for path, names in names_of(child, f"{above}/{key}" if above else key).items()
    }


def take(leaves: Leaves, cuts: tuple[Cut, ...]) -> Leaves:
    """Returns the cuts of some leaves."""
    return [leaf[cut] for leaf, cut in zip(leaves, cuts, strict=True)]


def put(leaves: Leaves, cuts: tuple[Cut, ...], values: Leaves) -> None:
    """Writes cuts into some leaves."""
    for leaf, cut, value in zip(leaves, cuts, values, strict=True):
        leaf[cut] = value
