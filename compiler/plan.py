"""The plan: the compiler's intermediate representation, whole.

A plan says what one step of a scheme is: the mesh, the tensors, and the exchanges in
the order in which they happen, with the messages that each one sends, the memory that
a device needs and the equations. It prints to stable text and reads back
(`plan_text`). Passes fill it in, one after another.

    plan       = axes tensors flows agreements exchanges memory equations
    flow       = what a model that is cut up over an axis sends by itself
    agreement  = what the copies over one axis do from one step to another
    exchange   = an agreement with its place in the step, its route and its messages
    message    = one collective of a device: kind, element type, elements
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

Subject = Literal["gradients", "parameters"]
Route = Literal["sum", "gather", "two_phase", "ring", "tree", "server", "neighbours"]
Kind = Literal[
    "all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute"
]

ITEM_BYTES = {"f64": 8, "f32": 4, "s32": 4, "u32": 4, "u16": 2, "s16": 2} | {
    "u8": 1,
    "s8": 1,
}
# What besides a model of the caller's own may have.
ITEM_BYTES |= {"s64": 8, "u64": 8, "f16": 2, "bf16": 2, "pred": 1}
LANDING = -1

Pairs = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class MeshAxis:
    """A named dim of the device mesh; axes stand from the outermost inwards.

    Attributes:
        name: The name in the scheme.
        size: Devices along the axis.
        loose: Whether the copies along the axis may differ between steps.
        bandwidth: Bits per second of a member's link, or None where not declared.
        latency: Seconds of a message, or None where not declared.
        strategy: How one copy of the model is cut up over the axis, or that its
            members are an ensemble; None where the axis holds replicas.
    """

    name: str
    size: int
    loose: bool = False
    bandwidth: float | None = None
    latency: float | None = None
    strategy: families.Strategy | None = None

    @property
    def holds_copies(self) -> bool:
        """Whether each place has a model of its own: replicas, or an ensemble."""
        return self.strategy is None or isinstance(self.strategy, words.Ensemble)

    @property
    def splits_batch(self) -> bool:
        """Whether the members along the axis get different examples."""
        shared = isinstance(self.strategy, words.Zero | words.Expert)
        return self.holds_copies or shared

    @property
    def splits_tokens(self) -> bool:
        """Whether the members along the axis get different tokens of each example."""
        return isinstance(self.strategy, words.Sequence)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A parameter of the model.

    Attributes:
        path: Its keys, joined by `/`.
        shape: Its shape, whole.
        dtype: Its element type.
        dims: A logical name for each dim, such as `("embed", "mlp")`, if known.
        cuts: For each dim the mesh axes it is cut over, outermost cut first; empty
            where the tensor is whole. What is exchanged and updated is one such cut.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...] = ()
    cuts: tuple[tuple[str, ...], ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The mesh axes that some dim is cut over."""
        return tuple(axis for axes in self.cuts for axis in axes)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


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
        residual: Index of the agreement of this axis that the codec's state began
            with; agreements with the same one share it.
        residual_start: First step of that agreement.
        centralization: Who talks to whom.
        consistency: What is exchanged, and when.
        compression: In what form.
    """

    axis: str
    start: int
    stop: int | None
    clause: int
    clause_start: int
    residual: int
    residual_start: int
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
class Exchange:
    """An agreement at its place in the step.

    Attributes:
        name: Unique, `axis.subject` with a number where there are several; the
            compiled collectives carry it.
        subject: What is exchanged.
        every: Steps from one exchange to the next.
        offset: Steps from the clause's start to its first exchange.
        agreement: What it carries out.
        fragment: Number of the fragment of the model that it exchanges.
        leaves: Indices of the tensors that it exchanges, in order.
        late: Steps from forming a mean to its landing.
        turns: The turns of exchanges that follow one another, as a cycle.
        route: How the mean is formed: `sum` adds on the way, `gather` sends all to
            all, `two_phase` averages chunks and gathers those, `ring` and `tree` add
            hop by hop, `server` gathers shards at their owners, `neighbours` are those
            of a gossip.
        reason: Why this route.
        messages: The collectives of one exchange, on one device.
    """

    name: str
    subject: Subject
    every: int
    offset: int
    agreement: Agreement
    fragment: int = 0
    leaves: tuple[int, ...] = ()
    late: int = 0
    turns: tuple[int, ...] = (0,)
    route: Route = "sum"
    reason: str = ""
    messages: tuple[Message, ...] = ()

    def turn_at(self, step: int) -> int | None:
        """Returns the turn of the exchange at a step, counted from 0.

        `LANDING` where a mean that was formed earlier lands; None where nothing
        happens.
        """
        agreed = self.agreement
        if step < agreed.start or (agreed.stop is not None and step >= agreed.stop):
            return None
        since = step - agreed.clause_start - self.offset
        if since >= 0 and since % self.every == 0:
            return self.turns[self._formed(agreed.residual_start, step) % self._cycle]
        lands = self.late and since >= self.late
        return LANDING if lands and (since - self.late) % self.every == 0 else None

    @property
    def first_due(self) -> int | None:
        """The first step at which a mean is formed, or None where there is none."""
        agreed = self.agreement
        first = agreed.clause_start + self.offset
        first += max(0, -(-(agreed.start - first) // self.every)) * self.every
        return None if agreed.stop is not None and first >= agreed.stop else first

    def due(self, steps: int) -> range:
        """The steps, of the first `steps` ones, at which a mean is formed."""
        first, stop = self.first_due, self.agreement.stop
        stop = steps if stop is None else min(stop, steps)
        return range(stop if first is None else first, stop, self.every)

    def num_due(self, steps: int) -> int:
        """How often a mean is formed in the first `steps` steps."""
        return len(self.due(steps))

    @property
    def begins_afresh(self) -> bool:
        """Whether the optimizer's state is begun afresh where its copies meet."""
        rule = self.agreement.consistency
        return isinstance(rule, words.Local) and rule.state == "reset"

    def sent(self, turn: int) -> tuple[Message, ...]:
        """Returns the messages of a turn."""
        return tuple(each for each in self.messages if each.turn == turn)

    def sent_on_average(self, steps: int) -> tuple[tuple[Message, float], ...]:
        """Returns each message with how often a step sends it, over `steps` steps."""
        agreed, due, cycle = self.agreement, self.num_due(steps), self._cycle
        before = self._formed(agreed.residual_start, agreed.start) % cycle
        left = (self.turns * 2)[before : before + due % cycle]
        times = {
            turn: due // cycle * self.turns.count(turn) + left.count(turn)
            for turn in set(self.turns)
        }
        return tuple((each, times[each.turn] / steps) for each in self.messages)

    @property
    def _cycle(self) -> int:
        return len(self.turns)

    def _formed(self, start: int, stop: int) -> int:
        """Counts the means that are formed at the steps `start <= step < stop`."""
        first = self.agreement.clause_start + self.offset
        before, until = (-(-(step - first) // self.every) for step in (start, stop))
        return until - before


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


def local_tensor(tensor: TensorSpec, sizes: Mapping[str, int]) -> TensorSpec:
    """Returns one device's cut of a tensor, itself whole.

    Example:
        >>> tensor = TensorSpec("w", (8, 6), "float32", cuts=((), ("chip",)))
        >>> local_tensor(tensor, {"chip": 2}).shape
        (8, 3)
    """
    if not tensor.cuts:
        return tensor
    parts = [math.prod(sizes[axis] for axis in axes) for axes in tensor.cuts]
    shape = tuple(size // num for size, num in zip(tensor.shape, parts, strict=True))
    return replace(tensor, shape=shape, cuts=())


def _seconds(axis: MeshAxis, message: Message) -> float:
    assert axis.bandwidth
    moving = message.wire_bytes(axis.size) * 8 / axis.bandwidth
    return moving + message.hops(axis.size) * (axis.latency or 0.0)


def is_tight(agreement: Agreement) -> bool:
    """Whether the copies are equal after each step under an agreement."""
    gossips = isinstance(agreement.centralization, words.Gossip)
    return not gossips and isinstance(agreement.consistency, _TIGHT)


_TIGHT = (words.Synchronous, words.Pipelined, words.Asynchronous, words.Hogwild)
