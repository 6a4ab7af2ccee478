"""The mean over members where a codec takes one leaf after another.

Each coded leaf has a memory of its own at each member. What is drawn for it is drawn
apart, by the place of the leaf among all leaves of the exchange.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression import dense
from diamond.runtime.engines.reference.meeting import Array, Leaves, Meeting, average
from diamond.runtime.engines.reference.noise import Use

Memory = Any
Memories = tuple[Memory, ...]  # one entry a leaf


@dataclass(frozen=True, slots=True)
class Place:
    """Where lots are drawn.

    Attributes:
        meeting: The exchange.
        leaf: The place of the leaf among all leaves.
    """

    meeting: Meeting
    leaf: int

    @property
    def count(self) -> int:
        """Exchanges of this phase that were done before."""
        return self.meeting.count

    def seed_of(self, use: Use) -> int:
        """Returns the seed of what is drawn for the leaf."""
        return noise.seed_within(self.meeting.seed_of(use), self.leaf)

    def seed_of_start(self, use: Use) -> int:
        """Returns the same, of what all groups begin with alike."""
        seed = noise.seed_of(use, self.meeting.axis, self.meeting.seed)
        return noise.seed_within(seed, self.leaf)


class LeafCodec(NamedTuple):
    """What one codec does with one leaf.

    Attributes:
        begin: Returns the first memory, of a term, a leaf like those to come, and
            the place.
        exchange: Returns the mean and the new memories, of a term, the leaf of each
            member, the memory of each, and the place.
        begin_dense: The first memory of a dense leaf, of a term and a leaf like it.
        arrive_dense: What a dense leaf's mean is changed to where it arrives, and the
            new memories, of a term, the mean and the memory of each member.
    """

    begin: Callable[[Any, Array, Place], Memory]
    exchange: Callable[
        [Any, list[Array], list[Memory], Place], tuple[Array, list[Memory]]
    ]
    begin_dense: Callable[[Any, Array], Memory] = lambda term, leaf: None
    arrive_dense: Callable[[Any, Array, list[Memory]], tuple[Array, list[Memory]]] = (
        lambda term, mean, held: (mean, held)
    )


def start(
    codec: LeafCodec, term: Any, like: Leaves, num: int, meeting: Meeting
) -> list[Memories]:
    """Returns what each member remembers before the first mean."""
    is_coded = dense.are_coded(term, like, meeting.paths)
    memories = tuple(
        codec.begin(term, leaf, Place(meeting, number))
        if is_coded[number]
        else codec.begin_dense(term, leaf)
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
    is_coded = dense.are_coded(term, values[0], meeting.paths)
    means, columns = [], []
    for number in range(len(values[0])):
        leaf = [leaves[number] for leaves in values]
        held = [memories[number] for memories in states]
        if is_coded[number]:
            place = Place(meeting, number)
            result, held = codec.exchange(term, leaf, held, place)
        else:
            result, held = codec.arrive_dense(term, average(leaf), held)
        means.append(result)
        columns.append(held)
    return means, list(zip(*columns, strict=True))
