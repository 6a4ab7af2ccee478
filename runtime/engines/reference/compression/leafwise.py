"""The mean over members where a codec takes one leaf after another.

Each coded leaf has a memory of its own at each member and a seed of its own: the
seed of the axis plus the place of the leaf among all leaves of the exchange.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression import dense
from diamond.runtime.engines.reference.meeting import Array, Leaves, Meeting, average

Memory = Any
Memories = tuple[Memory, ...]  # one entry a leaf, None where it is dense


@dataclass(frozen=True, slots=True)
class Place:
    """Where lots are drawn.

    Attributes:
        seed: The seed of the leaf.
        count: Exchanges of this phase that were done before.
    """

    seed: int
    count: int


class LeafCodec(NamedTuple):
    """What one codec does with one leaf.

    Attributes:
        begin: Returns the first memory, of a term, a leaf like those to come, and
            the seed of the leaf.
        exchange: Returns the mean and the new memories, of a term, the leaf of each
            member, the memory of each, and the place.
    """

    begin: Callable[[Any, Array, int], Memory]
    exchange: Callable[
        [Any, list[Array], list[Memory], Place], tuple[Array, list[Memory]]
    ]


def start(
    codec: LeafCodec, term: Any, like: Leaves, num: int, meeting: Meeting
) -> list[Memories]:
    """Returns what each member remembers before the first mean."""
    seed, is_coded = _seed_and_coded(term, like, meeting)
    memories = tuple(
        codec.begin(term, leaf, seed + number) if is_coded[number] else None
        for number, leaf in enumerate(like)
    )
    return [memories] * num


def mean(
    codec: LeafCodec,
    term: Any,
    values: list[Leaves],
    states: list[Memories],
    meeting: Meeting,
) -> tuple[Leaves, list[Memories]]:
    """Returns the mean that every member gets, and what each remembers now."""
    seed, is_coded = _seed_and_coded(term, values[0], meeting)
    means, columns = [], []
    for number in range(len(values[0])):
        leaf = [leaves[number] for leaves in values]
        held = [memories[number] for memories in states]
        result = average(leaf)
        if is_coded[number]:
            place = Place(seed + number, meeting.count)
            result, held = codec.exchange(term, leaf, held, place)
        means.append(result)
        columns.append(held)
    return means, list(zip(*columns, strict=True))


def _seed_and_coded(
    term: Any, like: Leaves, meeting: Meeting
) -> tuple[int, list[bool]]:
    seed = noise.seed_of(meeting.axis)
    return seed, dense.are_coded(term, like, meeting.paths)
