"""The plan, whole, and what it says of a run."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from diamond.compiler.plan.exchanges import LANDING, Agreement, Exchange
from diamond.compiler.plan.mesh import MeshAxis, TensorSpec, local_tensor
from diamond.compiler.plan.messages import Flow, Message, busiest

TEMPORARIES = "activations and temporaries, an estimate"


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory of a device, in bytes: between steps, and for `TEMPORARIES` within one."""

    what: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A scheme as the compiler carries it out.

    Attributes:
        name: The scheme's name.
        steps: Steps to train.
        batch: Examples a step, over all members.
        precision: `fp32`, `fp64`, or `bf16`, whose parameters are fp32.
        accumulate: Microbatches that a device takes its share of the batch in.
        remat: What is computed again for the gradient: `none`, `block` or `full`.
        optimizer: The optimizer, as the scheme writes it.
        batch_bytes: Bytes of one device's share of a batch.
        flops: Floating-point operations of the loss and gradient of one share.
        axes: The mesh, outermost first.
        tensors: The parameters, in the tree's order.
        optimizer_tensors: The arrays of the optimizer's state, in the tree's order.
        optimizer_bytes: Bytes of the optimizer's state on one device.
        flows: What the cut-up model sends by itself.
        agreements: Filled in from the scheme.
        exchanges: In the order of the step: gradients from the innermost axis
            outwards, then parameters from the innermost axis outwards.
        memory: What a device holds.
        equations: The step in symbols.
        seed: Seed of what is drawn.
    """

    name: str
    steps: int
    batch: int
    precision: str
    optimizer: str
    accumulate: int = 1
    remat: str = "none"
    batch_bytes: int = 0
    flops: float | None = None
    axes: tuple[MeshAxis, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    optimizer_tensors: tuple[TensorSpec, ...] = ()
    optimizer_bytes: int = 0
    flows: tuple[Flow, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    memory: tuple[Holding, ...] = ()
    equations: tuple[str, ...] = ()
    seed: int = 0

    @property
    def devices(self) -> int:
        """Number of devices of the mesh."""
        return math.prod(axis.size for axis in self.axes)

    @property
    def members(self) -> int:
        """Number of models: replicas and members of an ensemble, whole or cut up."""
        return math.prod(axis.size for axis in self.axes if axis.holds_copies)

    @property
    def shares(self) -> int:
        """Number of equal shares that a batch is cut into."""
        return math.prod(axis.size for axis in self.axes if axis.splits_batch)

    @property
    def shard_axes(self) -> tuple[str, ...]:
        """Names of the axes that one copy is cut up over, outermost first."""
        return tuple(axis.name for axis in self.axes if not axis.holds_copies)

    @property
    def copy_axes(self) -> tuple[str, ...]:
        """Names of the axes whose places have a copy each, outermost first."""
        return tuple(axis.name for axis in self.axes if axis.holds_copies)

    @property
    def local_tensors(self) -> tuple[TensorSpec, ...]:
        """What one device updates and exchanges of each tensor: its cut of it."""
        sizes = {axis.name: axis.size for axis in self.axes}
        return tuple(local_tensor(tensor, sizes) for tensor in self.tensors)

    @property
    def loose_axes(self) -> tuple[str, ...]:
        """Names of the axes along which copies may differ, outermost first."""
        return tuple(axis.name for axis in self.axes if axis.loose)

    @property
    def parameters(self) -> int:
        """Number of parameters of one copy."""
        return sum(tensor.elements for tensor in self.tensors)

    def axis(self, name: str) -> MeshAxis:
        """Returns an axis by its name."""
        return next(axis for axis in self.axes if axis.name == name)

    def wire_bytes(self) -> dict[str, float]:
        """Returns the bytes that a device sends over each axis, mean a step.

        Where members send unequal amounts, the most that one sends or receives.
        """
        total = {axis.name: 0.0 for axis in self.axes}
        for axis, message, often in self._sent():
            total[axis.name] += message.wire_bytes(axis.size) * often
        return total

    def wire_seconds(self) -> dict[str, float]:
        """Returns the time that each axis with a link is busy, mean a step.

        Bytes over bandwidth plus latency times hops: what the exchange costs where
        nothing hides it.
        """
        busy = {axis.name: 0.0 for axis in self.axes if axis.bandwidth}
        for axis, message, often in self._sent():
            if axis.bandwidth:
                busy[axis.name] += _seconds(axis, message) * often
        return busy

    def sent_at(
        self, due: Mapping[str, int]
    ) -> Iterator[tuple[Exchange, tuple[Message, ...]]]:
        """Yields what each exchange sends in a step.

        Args:
            due: The names of the exchanges that meet in it, with their turns.
        """
        for place, each in enumerate(self.exchanges):
            sent = each.sent(due.get(each.name, LANDING))
            after = self.exchanges[place + 1 :]
            if any(other.begins_afresh and other.name in due for other in after):
                sent = tuple(message for message in sent if not message.is_state)
            yield each, sent

    def _average(self, place: int) -> Iterator[tuple[Message, float]]:
        """Yields what an exchange sends, with how often a step does, on average."""
        each = self.exchanges[place]
        if not any(message.is_state for message in each.messages):
            yield from each.sent_on_average(self.steps)
            return
        due = each.due(self.steps)
        spared = {
            step
            for other in self.exchanges[place + 1 :]
            if other.begins_afresh
            for step in other.due(self.steps)
            if step in due
        }
        for message, often in each.sent_on_average(self.steps):
            is_spared = message.is_state and spared
            yield message, often * (1 - len(spared) / len(due) if is_spared else 1)

    def _sent(self) -> list[tuple[MeshAxis, Message, float]]:
        flowing = [
            (self.axis(flow.axis), message, 1.0)
            for flow in busiest(self.flows)
            for message in flow.messages
        ]
        return flowing + [
            (self.axis(each.agreement.axis), message, often)
            for place, each in enumerate(self.exchanges)
            for message, often in self._average(place)
        ]


def _seconds(axis: MeshAxis, message: Message) -> float:
    assert axis.bandwidth
    moving = message.wire_bytes(axis.size) * 8 / axis.bandwidth
    return moving + message.hops(axis.size) * (axis.latency or 0.0)
