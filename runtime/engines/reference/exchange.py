"""Values cross an axis: group by group, leaf by leaf, with what codecs remember.

A copy that several devices hold between them crosses cut by cut, and a codec remembers
something for each cut.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from diamond.runtime.engines.reference import (
    centralization,
    replicas,
    shards,
    vectors,
)
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.meeting import Leaves, Meeting
from diamond.runtime.engines.reference.state import (
    OfMembers,
    ReferenceState,
    Vector,
)
from diamond.runtime.engines.reference.vectors import Layout, Places

OfGroup = Callable[
    [Clause, list[Leaves], list[Any], Meeting], tuple[list[Leaves], list[Any]]
]
Results = tuple[list[Vector], ReferenceState]


def mean_over(
    axis: ReplicaAxis,
    state: ReferenceState,
    values: Sequence[Vector],
    part: int = 0,
    places: Places | None = None,
) -> Results:
    """Replaces each member's values by its group's mean, or what takes its place.

    Args:
        axis: The axis.
        state: Whose clause says how, and whose codec remembers.
        values: One vector a member.
        part: Which part of the model it is.
        places: Which leaves stand in the vectors; all where not given.
    """

    def mean(
        clause: Clause, leaves: list[Leaves], memory: list[Any], meeting: Meeting
    ) -> tuple[list[Leaves], list[Any]]:
        who, form = clause.centralization, clause.codec(state.step)
        result, memory = centralization.mean(who, form, leaves, memory, meeting)
        return [result] * len(leaves), memory

    return over_groups(axis, state, values, mean, part, places)


def over_groups(
    axis: ReplicaAxis,
    state: ReferenceState,
    values: Sequence[Vector],
    of_group: OfGroup,
    part: int = 0,
    places: Places | None = None,
) -> Results:
    """Does something with the leaves of each group of members that meet."""
    clause, layout = axis.at(state.step), _layout(state, places)
    memory = list(replicas.codec_memory(axis, state, part))
    count = clause.count(state.step, part)
    results = list(values)
    for group in axis.groups:
        meeting = _meeting(axis, group, layout, count)
        whole = [vectors.cut(values[i], layout) for i in group]
        made = [[np.array(leaf) for leaf in leaves] for leaves in whole]
        kept = [_by_cut(axis, memory[i]) for i in group]
        for place, cuts in enumerate(axis.cutter.cuts(layout)):
            leaves = [shards.take(each, cuts) for each in whole]
            new, left = of_group(clause, leaves, [k[place] for k in kept], meeting)
            for into, result, mine, lost in zip(made, new, kept, left, strict=True):
                shards.put(into, cuts, result)
                mine[place] = lost
        for i, after, mine in zip(group, made, kept, strict=True):
            results[i], memory[i] = vectors.join(after), _of_cuts(mine)
    return results, replicas.with_codec_memory(axis, state, part, memory)


def start(
    axis: ReplicaAxis, clause: Clause, layout: Layout, like: Sequence[Vector]
) -> OfMembers:
    """Returns what a clause's codec remembers at first of a part of the model.

    Args:
        axis: The axis.
        clause: The clause.
        layout: The leaves of that part.
        like: A vector a member, of what will be exchanged.
    """
    who, form = clause.centralization, clause.compression
    memory: list[list[Any]] = [[] for _ in like]
    for group in axis.groups:
        meeting = _meeting(axis, group, layout, 0)
        whole = vectors.cut(like[group[0]], layout)
        for cuts in axis.cutter.cuts(layout):
            leaves = shards.take(whole, cuts)
            begun = centralization.start(who, form, leaves, axis.size, meeting)
            for i, remembered in zip(group, begun, strict=True):
                memory[i].append(remembered)
    return tuple(map(_of_cuts, memory))


def _meeting(
    axis: ReplicaAxis, group: Sequence[int], layout: Layout, count: int
) -> Meeting:
    outside = axis.outside_of(group[0])
    return Meeting(axis.name, layout.paths, count, axis.decay, axis.seed, outside)


def _layout(state: ReferenceState, places: Places | None) -> Layout:
    layout = vectors.layout_of(state.params[0])
    return layout if places is None else layout.at(places)


def _of_cuts(remembered: list[Any]) -> Any:
    """Keeps what is remembered of the only cut, or a tuple with one entry a cut."""
    return remembered[0] if len(remembered) == 1 else tuple(remembered)


def _by_cut(axis: ReplicaAxis, memory: Any) -> list[Any]:
    return [memory] if axis.cutter.num == 1 else list(memory)
