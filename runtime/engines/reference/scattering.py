"""`zero(compression)`: gradients go in a code to the devices that own their shards.

Of a copy that N devices hold in shards, device i takes share i of the copy's examples.
With g_i the gradient of its mean loss, whole,

    p_i  = g_i + e_i
    e_i <- p_i - C(p_i)
    g[j] = (sum_i C(p_i)[j]) (1/N), for every shard j

What the copy's shards are is `shards`; other strategies cut first, and each of their
cuts is coded by itself. The leaves of a layer are coded together, as vectors of N
pieces: piece j is shard j of each leaf, filled up with zeros to whole blocks. A leaf is
added up as it is, sum_i g_i (1/N), where it has no shards, where its shards are smaller
than a block, and where `dense` says so. A codec that draws lots draws for vector k with
the numbers of member k N + i.

Without feedback e stays 0.

Wang et al., "ZeRO++: extremely efficient collective communication for giant model
training", arXiv 2306.10209, 2023, without feedback.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diamond.dsl.vocabulary import NoCompression, Scheme, Zero
from diamond.runtime.engines.reference import compute, shards, vectors
from diamond.runtime.engines.reference.compression import dense
from diamond.runtime.engines.reference.compression.coded import (
    Residual,
    push,
    start_push,
)
from diamond.runtime.engines.reference.compression.tables import VECTOR
from diamond.runtime.engines.reference.consistency.fragments import group_of
from diamond.runtime.engines.reference.meeting import (
    Array,
    Leaves,
    Meeting,
    average,
    average_decoded,
)
from diamond.runtime.engines.reference.shards import Cut, Cutter
from diamond.runtime.engines.reference.state import Tree, Vector
from diamond.runtime.engines.reference.vectors import Layout

Owned = tuple[tuple[Cut, ...], ...]  # [owners][leaves]
# What each device lost: [cuts by other strategies][vectors][devices]
Lost = tuple[tuple[tuple[Residual, ...], ...], ...]


@dataclass(frozen=True)
class Scattering:
    """How gradients go to the owners of their shards.

    Attributes:
        axis: Name of the mesh axis.
        size: Devices along it, N.
        term: The codec.
        cutter: How one copy is cut up.
        seed: The seed of the run.
    """

    axis: str
    size: int
    term: Any
    cutter: Cutter
    seed: int


def scattering_of(scheme: Scheme, cutter: Cutter) -> Scattering | None:
    """Reads how gradients go to their owners, where they do in a code.

    Raises:
        ValueError: If no meaning is written down for the codec.
    """
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for each in scheme.parallelism:
        term = each.strategy
        if not isinstance(term, Zero) or sizes[each.axis] == 1:
            continue
        if isinstance(term.compression, NoCompression):
            continue
        if type(term.compression) not in VECTOR:
            raise ValueError(f"no meaning is written down for {term}")
        size, seed = sizes[each.axis], scheme.train.seed
        return Scattering(each.axis, size, term.compression, cutter, seed)
    return None


def start(scattering: Scattering, params: Tree) -> Lost:
    """Returns what the devices of one copy lost before the first step."""
    layout, like = vectors.layout_of(params), vectors.flatten(params)
    leaves = vectors.cut(like, layout)
    codec, term, size = VECTOR[type(scattering.term)], scattering.term, scattering.size
    return tuple(
        tuple(
            tuple(
                start_push(
                    codec,
                    term,
                    _pieces(leaves, owned, places),
                    size,
                    _meeting(scattering, layout, places, 0, 0),
                )
            )
            for places in _vectors(scattering, layout, owned)
        )
        for owned in scattering.cutter.owners(layout)
    )


def mean(
    scattering: Scattering,
    gradients: Sequence[Vector],
    lost: Lost,
    like: Tree,
    *,
    count: int,
    member: int,
) -> tuple[Vector, Lost]:
    """Returns the gradient of one copy, everyone's shards of it, and what is lost.

    Args:
        scattering: How.
        gradients: A whole one a device.
        lost: Before.
        like: The copy's parameters.
        count: Steps before this one.
        member: Place of the copy.
    """
    layout = vectors.layout_of(like)
    whole = [vectors.cut(gradient, layout) for gradient in gradients]
    made = [average(column) for column in zip(*whole, strict=True)]
    after = []
    for owned, of_cut in zip(scattering.cutter.owners(layout), lost, strict=True):
        left = []
        places_of = _vectors(scattering, layout, owned)
        for number, (places, owed) in enumerate(zip(places_of, of_cut, strict=True)):
            meeting = _meeting(scattering, layout, places, count, member)
            found, now = push(
                VECTOR[type(scattering.term)],
                scattering.term,
                [_pieces(leaves, owned, places) for leaves in whole],
                list(owed),
                meeting,
                first=number * scattering.size,
            )
            shares = [average_decoded(column) for column in zip(*found, strict=True)]
            _put(made, owned, places, shares)
            left.append(tuple(now))
        after.append(tuple(left))
    return vectors.join(made), tuple(after)


def of_devices(
    scattering: Scattering, scheme: Scheme, found: Sequence[Vector]
) -> list[Vector]:
    """Returns the gradient of each device's share, from those of equal parts of it.

    Args:
        scattering: How.
        scheme: Whose mesh says in which order the parts of a copy's share stand.
        found: The gradients of the parts.
    """
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    cut = [p.axis for p in scheme.parallelism if shards.splits_examples(p.strategy)]
    names = [axis.name for axis in scheme.mesh if axis.name in cut]
    dims = [sizes[name] for name in names]
    grid = np.stack(found).reshape(*dims, -1, found[0].size)
    rows = np.moveaxis(grid, names.index(scattering.axis), 0)
    rows = rows.reshape(scattering.size, -1, found[0].size)
    return [compute.mean(list(row)) for row in rows]


def _vectors(
    scattering: Scattering, layout: Layout, owned: Owned
) -> list[tuple[int, ...]]:
    """Returns the leaves that are coded, those of a layer together."""
    leaves = [np.zeros(shape) for shape in layout.shapes]
    mine = shards.take(leaves, owned[0])
    are_coded = dense.are_coded(scattering.term, mine, layout.paths)
    block = VECTOR[type(scattering.term)].block_of(scattering.term)
    groups: dict[tuple[str, ...], list[int]] = {}
    for place, path in enumerate(layout.paths):
        is_cut = owned[0][place] != owned[1][place]
        if is_cut and are_coded[place] and mine[place].size >= block:
            groups.setdefault(group_of(path), []).append(place)
    return [tuple(places) for places in groups.values()]


def _pieces(leaves: Leaves, owned: Owned, places: Sequence[int]) -> Leaves:
    """Returns the pieces of some leaves, those of the first owner first."""
    return [leaves[place][cuts[place]] for cuts in owned for place in places]


def _put(
    made: Leaves, owned: Owned, places: Sequence[int], shares: list[Array]
) -> None:
    rest = iter(shares)
    for cuts in owned:
        for place in places:
            made[place][cuts[place]] = next(rest)


def _meeting(
    scattering: Scattering,
    layout: Layout,
    places: Sequence[int],
    count: int,
    member: int,
) -> Meeting:
    paths = tuple(layout.paths[place] for place in places) * scattering.size
    return Meeting(scattering.axis, paths, count, seed=scattering.seed, outside=member)
