"""Messages: the collectives of a device, and what strategies send by themselves."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"
]
Pairs = tuple[tuple[int, int], ...]

ITEM_BYTES = {"f64": 8, "f32": 4, "s32": 4, "u32": 4, "u16": 2, "s16": 2} | {
    "u8": 1,
    "s8": 1,
}
# What besides a model of the caller's own may have.
ITEM_BYTES |= {"s64": 8, "u64": 8, "f16": 2, "bf16": 2, "pred": 1}


@dataclass(frozen=True, slots=True)
class Message:
    """One collective as a device sees it.

    Attributes:
        kind: The collective's name in HLO.
        dtype: The element type's name in HLO.
        elements: Elements of the device's operand.
        turn: The turn of the exchange at which it is sent.
        pairs: Who sends to whom, as places along the axis, in order; of a
            collective-permute, whose other members send nothing.
        is_state: Whether it averages the optimizer's state; it is left out where an
            axis outside begins that afresh in the same step.
    """

    kind: Kind
    dtype: str
    elements: int
    turn: int = 0
    pairs: Pairs = ()
    is_state: bool = False

    @property
    def operand_bytes(self) -> int:
        """Bytes of the device's operand."""
        return self.elements * ITEM_BYTES[self.dtype]

    def wire_bytes(self, size: int) -> float:
        """Bytes that one member of a group of `size` sends, by the best algorithm.

        An all-reduce sends `2 (N-1)/N`, an all-gather `N-1`, an all-to-all `(N-1)/N`
        a reduce-scatter `(N-1)/N` too, and a collective-permute all of its operand.
        """
        share = {
            "all-reduce": 2 * (size - 1) / size,
            "reduce-scatter": (size - 1) / size,
            "all-gather": size - 1,
            "all-to-all": (size - 1) / size,
            "collective-permute": 1,
        }
        return self.operand_bytes * share[self.kind]

    def hops(self, size: int) -> int:
        """Messages that follow one another, in a ring of `size` members."""
        if self.kind == "collective-permute":
            return 1
        return (size - 1) * (2 if self.kind == "all-reduce" else 1)


@dataclass(frozen=True, slots=True)
class Flow:
    """What a model that is cut up over an axis sends by itself, in every step.

    Attributes:
        name: `axis.strategy`; the compiled collectives carry it.
        axis: The mesh axis.
        messages: The collectives of one step, on one device.
        stages: The stages of a pipeline whose devices send them; empty where all do.
        by_partitioner: Whether XLA's partitioner chooses what is sent, so that nobody
            knows before it is compiled; then no messages are listed.
    """

    name: str
    axis: str
    messages: tuple[Message, ...]
    stages: tuple[int, ...] = ()
    by_partitioner: bool = False

    @property
    def at(self) -> str:
        """Says at which stages, where not at all."""
        places = ", ".join(map(str, self.stages))
        return f" at stage {places}" if places else ""


def busiest(flows: Sequence[Flow]) -> tuple[Flow, ...]:
    """Returns the flows of the devices of a pipeline that send most, axis by axis."""

    def sent(axis: str, stage: int) -> int:
        return sum(
            message.operand_bytes
            for flow in flows
            if flow.axis == axis and stage in flow.stages
            for message in flow.messages
        )

    stages = sorted({stage for flow in flows for stage in flow.stages})
    axes = {flow.axis for flow in flows if flow.stages}
    most = {axis: max(stages, key=functools.partial(sent, axis)) for axis in axes}
    return tuple(
        flow for flow in flows if not flow.stages or most[flow.axis] in flow.stages
    )
