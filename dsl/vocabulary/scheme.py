"""The scheme: everything that a `.diamond` file declares, as one immutable value."""

from dataclasses import dataclass

from diamond.dsl.vocabulary import centralization as who
from diamond.dsl.vocabulary import compression as form
from diamond.dsl.vocabulary import consistency as when
from diamond.dsl.vocabulary import parallelism as roles
from diamond.dsl.vocabulary import training
from diamond.dsl.vocabulary.fields import AUTO, Auto, Scheduled, Term, arg

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
Compression = (
    form.NoCompression
    | form.Cast
    | form.Int8
    | form.Int4
    | form.Qsgd
    | form.Ternary
    | form.Sign
    | form.OneBit
    | form.TopK
    | form.RandomK
    | form.Dgc
    | form.PowerSgd
    | form.Gradiveq
)
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
    seed: int = arg("seed of weights and data order", default=0, minimum=0)
    precision: str = arg(
        "type of parameters and arithmetic", default="fp32", choices=("fp32", "fp64")
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
class Axis(Term):
    """A named dim of the device mesh."""

    name: str = arg("name of the axis")
    size: int = arg("devices along the axis", minimum=1)


@dataclass(frozen=True, slots=True)
class Link(Term):
    """The network that an axis crosses."""

    axis: str = arg("name of the axis")
    bandwidth: float = arg("bandwidth of a member's link", unit="bits_per_second")
    latency: float = arg("latency of a message", default=0.0, unit="seconds")


@dataclass(frozen=True, slots=True)
class Parallel(Term):
    """A strategy laid over an axis."""

    strategy: Strategy = arg("how the model is cut up", family="strategy")
    axis: str = arg("name of the axis")


@dataclass(frozen=True, slots=True)
class Replicas(Term):
    """Copies of the model over an axis, and how they agree."""

    axis: str = arg("name of the axis")
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

    Example:
        >>> scheme = Scheme("tiny", mesh=(Axis("host", 2),), replicas=(Replicas("host"),))
        >>> scheme.mesh[0].size
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


__all__ = ["AUTO", "Scheme"]
