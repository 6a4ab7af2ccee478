"""The scheme: everything that a `.diamond` file declares, as one immutable value."""

from dataclasses import dataclass
from typing import Any

from diamond.dsl.vocabulary import centralization as who
from diamond.dsl.vocabulary import compression as form
from diamond.dsl.vocabulary import consistency as when
from diamond.dsl.vocabulary import parallelism as roles
from diamond.dsl.vocabulary import training, types
from diamond.dsl.vocabulary.fields import (
    Auto,
    Scheduled,
    Term,
    arg,
    why_no_name,
)

Model = training.Mlp | training.ConvNet | training.Transformer
Data = training.Digits | training.Text | training.Arrays
Loss = training.CrossEntropy | training.MeanSquaredError
Centralization = who.AllReduce | who.ParameterServer | who.Gossip
Consistency = (
    when.Synchronous
    | when.Pipelined
    | when.StaleSynchronous
    | when.Asynchronous
    | when.Hogwild
    | when.Local
    | when.Elastic
)
Compression = form.Compression
Strategy = (
    roles.Zero
    | roles.Tensor
    | roles.Sequence
    | roles.Pipeline
    | roles.Expert
    | roles.Features
    | roles.Ensemble
)


@dataclass(frozen=True, slots=True)
class Train(Term):
    """How the model is trained."""

    optimizer: training.Call = arg(
        "an optax optimizer",
        default=training.Call("adam", (("learning_rate", 1e-3),)),
        family="optimizer",
    )
    loss: Loss = arg(
        "what is minimised", default=training.CrossEntropy(), family="loss"
    )
    steps: int = arg("optimizer steps", default=1000, unit="steps", minimum=1)
    seed: int = arg("seed of weights, data order and noise", default=0, minimum=0)
    precision: str = arg(
        "type of parameters and arithmetic; with `bf16` that of the loss and its "
        "gradient alone: parameters, optimizer and exchanges are fp32",
        default="fp32",
        choices=("fp32", "fp64", "bf16"),
    )
    accumulate: int = arg(
        "microbatches that a device takes its share of a batch in, one after another",
        default=1,
        minimum=1,
    )
    remat: str = arg(
        "what is computed again for the gradient instead of kept: nothing, the inside "
        "of each block but for sums over devices, or all of it",
        default="none",
        choices=("none", "block", "full"),
    )
    evaluate: int | None = arg(
        "steps between evaluations; at the end only where not given",
        default=None,
        unit="steps",
        minimum=1,
    )
    checkpoint: int | None = arg(
        "steps between checkpoints; at the end only where not given",
        default=None,
        unit="steps",
        minimum=1,
    )


@dataclass(frozen=True, slots=True)
class Distill(Term):
    """One model that is trained on what the members of an ensemble predict."""

    model: Model | None = arg(
        "the student; the model of the ensemble where not given, without the mixtures "
        "that `expert` makes",
        default=None,
        family="model",
    )
    steps: int = arg("steps of the student", default=1000, unit="steps", minimum=1)
    temperature: float = arg(
        "what logits are divided by, to see more of the less likely classes",
        default=2.0,
        above=0.0,
    )
    weight: float = arg(
        "share of what the members predict in the loss; the rest is that of the "
        "targets",
        default=0.5,
        unit="ratio",
        minimum=0.0,
        maximum=1.0,
    )


@dataclass(frozen=True, slots=True)
class Axis(Term):
    """A named dim of the device mesh."""

    name: str = arg("name of the axis", identifier=True)
    size: int = arg("devices along the axis", minimum=1)


@dataclass(frozen=True, slots=True)
class Link(Term):
    """The network that an axis crosses."""

    axis: str = arg("name of the axis", identifier=True)
    bandwidth: float = arg(
        "bandwidth of one member's link along the axis, its share of a wire that "
        "members share",
        unit="bits_per_second",
        minimum=1.0,
    )
    latency: float = arg(
        "latency of a message", default=0.0, unit="seconds", minimum=0.0
    )


@dataclass(frozen=True, slots=True)
class Parallel(Term):
    """A strategy laid over an axis."""

    strategy: Strategy = arg("how the model is cut up", family="strategy")
    axis: str = arg("name of the axis", identifier=True)


@dataclass(frozen=True, slots=True)
class Shard(Term):
    """What the dims of some parameters mean, for a tensor axis to cut them."""

    pattern: str = arg("paths of parameters; `*` also stands for a `/`")
    dims: tuple[str, ...] = arg("a logical name for each dim, `_` where it stays whole")

    def __post_init__(self) -> None:
        Term.__post_init__(self)
        if not self.dims:
            raise ValueError("`dims` of `Shard` must name a dim at least")


@dataclass(frozen=True, slots=True)
class Replicas(Term):
    """Copies of the model over an axis, and how they agree."""

    axis: str = arg("name of the axis", identifier=True)
    centralization: Centralization | Auto | Scheduled[Centralization] = arg(
        "who talks to whom",
        default=who.AllReduce(),
        family="centralization",
        schedulable=True,
    )
    consistency: Consistency | Auto | Scheduled[Consistency] = arg(
        "what is exchanged, and when",
        default=when.Synchronous(),
        family="consistency",
        schedulable=True,
    )
    compression: Compression | Auto | Scheduled[Compression] = arg(
        "in what form values cross",
        default=form.NoCompression(),
        family="compression",
        schedulable=True,
    )
    redundancy: roles.Coded | None = arg(
        "work done twice against stragglers", default=None, family="redundancy"
    )


@dataclass(frozen=True, slots=True)
class Scheme:
    """A training scheme: what is trained, and how the work is spread.

    Axes stand from the outermost (slowest links) to the innermost (fastest).
    `model` and `data` are None where the Python caller brings its own.

    Raises:
        ValueError: If the name is no name of letters, digits and underscores.
        TypeError: If a part has the wrong type.

    Example:
        >>> Scheme("tiny", mesh=(Axis("host", 2),)).mesh[0].size
        2
    """

    name: str
    model: Model | None = None
    data: Data | None = None
    train: Train = Train()
    mesh: tuple[Axis, ...] = ()
    hardware: tuple[Link, ...] = ()
    parallelism: tuple[Parallel, ...] = ()
    replicas: tuple[Replicas, ...] = ()
    distill: Distill | None = None
    shards: tuple[Shard, ...] = ()

    def __post_init__(self) -> None:
        problem = why_no_name(self.name)
        if problem:
            raise ValueError(f"`name` of a scheme {problem}")
        for name, kind in PARTS.items():
            value = getattr(self, name)
            if not types.fits(value, kind):
                got = type(value).__name__
                raise TypeError(f"`{name}` of a scheme must be a {name}, not {got}")
        for name, kind in MANY.items():
            value = getattr(self, name)
            alike = isinstance(value, tuple) and all(isinstance(v, kind) for v in value)
            if not alike:
                raise TypeError(
                    f"`{name}` of a scheme must be a tuple of {kind.__name__}"
                )


PARTS: dict[str, Any] = {
    "model": Model | None,
    "data": Data | None,
    "train": Train,
    "distill": Distill | None,
}
MANY: dict[str, type] = {
    "mesh": Axis,
    "hardware": Link,
    "parallelism": Parallel,
    "replicas": Replicas,
    "shards": Shard,
}
