"""The plan: the compiler's intermediate representation, whole.

A plan says what one step of a scheme is: the mesh, the tensors, and the exchanges in
the order in which they happen, with the messages that each one sends, the memory that
a device needs and the equations. It prints to stable text and reads back
(`plan_text`). Passes fill it in, one after another.

    plan       = axes tensors agreements exchanges memory equations
    agreement  = what the copies over one axis do from one step to another
    exchange   = an agreement with its place in the step, its route and its messages
    message    = one collective of a device: kind, element type, elements
"""

from dataclasses import dataclass
from typing import Literal

from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

Subject = Literal["gradients", "parameters"]
Route = Literal["sum", "gather", "two_phase"]
Kind = Literal["all-reduce", "all-gather", "all-to-all"]

ITEM_BYTES = {"f64": 8, "f32": 4, "u16": 2, "u8": 1, "s8": 1}


@dataclass(frozen=True, slots=True)
class MeshAxis:
    """A named dim of the device mesh; axes stand from the outermost inwards.

    Attributes:
        name: The name in the scheme.
        size: Devices along the axis.
        loose: Whether the copies along the axis may differ between steps.
        bandwidth: Bits per second of a member's link, or None where not declared.
        latency: Seconds of a message, or None where not declared.
    """

    name: str
    size: int
    loose: bool = False
    bandwidth: float | None = None
    latency: float | None = None


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A parameter of the model: its path, shape, element type and logical dims."""

    path: str
    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...] = ()

    @property
    def elements(self) -> int:
        """Number of elements."""
        count = 1
        for size in self.shape:
            count *= size
        return count


@dataclass(frozen=True, slots=True)
class Agreement:
    """How the copies over an axis agree at the steps `start <= step < stop`.

    Attributes:
        axis: The mesh axis.
        start: First step.
        stop: First step after the end, or None.
        clause: Index of the consistency clause; agreements with the same clause
            share the rule's state.
        clause_start: First step of that clause.
        centralization: Who talks to whom.
        consistency: What is exchanged, and when.
        compression: In what form.
    """

    axis: str
    start: int
    stop: int | None
    clause: int
    clause_start: int
    centralization: families.Centralization
    consistency: families.Consistency
    compression: families.Compression


@dataclass(frozen=True, slots=True)
class Message:
    """One collective as a device sees it.

    Attributes:
        kind: The collective's name in HLO.
        dtype: The element type's name in HLO.
        elements: Elements of the device's operand.
    """

    kind: Kind
    dtype: str
    elements: int

    @property
    def operand_bytes(self) -> int:
        """Bytes of the device's operand."""
        return self.elements * ITEM_BYTES[self.dtype]

    def wire_bytes(self, size: int) -> float:
        """Bytes that one member of a group of `size` sends, by the best algorithm.

        An all-reduce sends `2 (N-1)/N`, an all-gather `N-1` and an all-to-all
        `(N-1)/N` of its operand.
        """
        share = {
            "all-reduce": 2 * (size - 1) / size,
            "all-gather": size - 1,
            "all-to-all": (size - 1) / size,
        }
        return self.operand_bytes * share[self.kind]

    def hops(self, size: int) -> int:
        """Messages that follow one another, in a ring of `size` members."""
        return (size - 1) * (2 if self.kind == "all-reduce" else 1)


@dataclass(frozen=True, slots=True)
class Exchange:
    """An agreement at its place in the step.

    Attributes:
        name: Unique, `axis.subject` with a number where there are several; the
            compiled collectives carry it.
        subject: What is exchanged.
        every: Steps from one exchange to the next.
        agreement: What it carries out.
        route: How the mean is formed: `sum` adds on the way, `gather` sends all to
            all, `two_phase` averages chunks and gathers those.
        reason: Why this route.
        messages: The collectives of one exchange, on one device.
    """

    name: str
    subject: Subject
    every: int
    agreement: Agreement
    route: Route = "sum"
    reason: str = ""
    messages: tuple[Message, ...] = ()

    def is_due(self, step: int) -> bool:
        """Whether the exchange happens at a step, counted from 0."""
        agreed = self.agreement
        if step < agreed.start or (agreed.stop is not None and step >= agreed.stop):
            return False
        return (step - agreed.clause_start + 1) % self.every == 0

    def num_due(self, steps: int) -> int:
        """How often it happens in the first `steps` steps."""
        agreed = self.agreement
        stop = steps if agreed.stop is None else min(agreed.stop, steps)
        before = (agreed.start - agreed.clause_start) // self.every
        return max(0, (stop - agreed.clause_start) // self.every - before)


@dataclass(frozen=True, slots=True)
class Holding:
    """Memory that a device holds between steps, in bytes."""

    what: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A scheme as the compiler carries it out.

    Attributes:
        name: The scheme's name.
        steps: Steps to train.
        batch: Examples a step, over all members.
        precision: `fp32` or `fp64`.
        optimizer: The optimizer, as the scheme writes it.
        optimizer_bytes: Bytes of one copy of the optimizer's state.
        batch_bytes: Bytes of one member's share of a batch.
        flops: Floating-point operations of one member's loss and gradient.
        axes: The mesh, outermost first.
        tensors: The parameters, in the tree's order.
        agreements: Filled in from the scheme.
        exchanges: In the order of the step: gradients from the innermost axis
            outwards, then parameters from the innermost axis outwards.
        memory: What a device holds.
        equations: The step in symbols.
    """

    name: str
    steps: int
    batch: int
    precision: str
    optimizer: str
    optimizer_bytes: int = 0
    batch_bytes: int = 0
    flops: float | None = None
    axes: tuple[MeshAxis, ...] = ()
    tensors: tuple[TensorSpec, ...] = ()
    agreements: tuple[Agreement, ...] = ()
    exchanges: tuple[Exchange, ...] = ()
    memory: tuple[Holding, ...] = ()
    equations: tuple[str, ...] = ()

    @property
    def members(self) -> int:
        """Number of devices, each of which holds a copy."""
        count = 1
        for axis in self.axes:
            count *= axis.size
        return count

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

    def due(self, step: int) -> tuple[Exchange, ...]:
        """Returns the exchanges that happen at a step, in order."""
        return tuple(each for each in self.exchanges if each.is_due(step))

    def wire_bytes(self) -> dict[str, float]:
        """Returns the bytes that a device sends over each axis, mean a step."""
        total = {axis.name: 0.0 for axis in self.axes}
        for each in self.exchanges:
            axis = self.axis(each.agreement.axis)
            once = sum(m.wire_bytes(axis.size) for m in each.messages)
            total[axis.name] += once * each.num_due(self.steps) / self.steps
        return total

    def wire_seconds(self) -> dict[str, float]:
        """Returns the time that each axis with a link is busy, mean a step.

        Bytes over bandwidth plus latency times hops: what the exchange costs where
        nothing hides it.
        """
        busy = {axis.name: 0.0 for axis in self.axes if axis.bandwidth}
        for each in self.exchanges:
            axis = self.axis(each.agreement.axis)
            if axis.bandwidth:
                once = sum(_seconds(axis, message) for message in each.messages)
                busy[axis.name] += once * each.num_due(self.steps) / self.steps
        return busy


def _seconds(axis: MeshAxis, message: Message) -> float:
    assert axis.bandwidth
    moving = message.wire_bytes(axis.size) * 8 / axis.bandwidth
    return moving + message.hops(axis.size) * (axis.latency or 0.0)


def is_tight(agreement: Agreement) -> bool:
    """Whether the copies are equal after each step under an agreement."""
    return isinstance(agreement.consistency, words.Synchronous)
