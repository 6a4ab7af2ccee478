"""Consistency: what the copies over an axis exchange, and when."""

from dataclasses import dataclass

from diamond.dsl.vocabulary.fields import Term, arg

_STREAMING = ((..., "douillard2025streaming"),)


@dataclass(frozen=True, slots=True)
class Average(Term):
    """Outer step: the copies become their average (local SGD)."""


@dataclass(frozen=True, slots=True)
class Nesterov(Term):
    """Outer step: Nesterov momentum on the averaged displacement (DiLoCo)."""

    lr: float = arg("outer learning rate", default=0.7, minimum=0.0)
    momentum: float = arg("outer momentum", default=0.9, minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class SlowMo(Term):
    """Outer step: slow momentum on the averaged pseudo-gradient."""

    lr: float = arg("slow learning rate", default=1.0, minimum=0.0)
    momentum: float = arg("slow momentum", default=0.5, minimum=0.0, maximum=1.0)


@dataclass(frozen=True, slots=True)
class Bmuf(Term):
    """Outer step: block-wise model update filtering."""

    lr: float = arg("block learning rate", default=1.0, minimum=0.0)
    momentum: float | None = arg(
        "block momentum; 1 - 1/N where not given",
        default=None,
        minimum=0.0,
        maximum=1.0,
    )
    nesterov: bool = arg("start the next block ahead", default=True)


@dataclass(frozen=True, slots=True)
class Synchronous(Term):
    """Gradients are averaged over the axis at every step."""


@dataclass(frozen=True, slots=True)
class Pipelined(Term):
    """Gradients are averaged, and applied `delay` steps later (Pipe-SGD)."""

    delay: int = arg("steps of delay", default=1, unit="steps", minimum=1)


@dataclass(frozen=True, slots=True)
class Delays(Term):
    """A seeded law of delays for the virtual clocks."""

    law: str = arg(
        "law of the delays",
        default="uniform",
        choices=("uniform", "geometric", "constant"),
    )
    mean: float = arg("mean delay", default=1.0, unit="steps", minimum=0.0, maximum=1e6)
    seed: int = arg("seed of the law", default=0, minimum=0)


@dataclass(frozen=True, slots=True)
class StaleSynchronous(Term):
    """No copy runs more than `bound` steps ahead of the slowest (SSP)."""

    bound: int = arg("most steps ahead", default=3, unit="steps", minimum=0)
    delays: Delays = arg("law of the delays", default=Delays(), family="delays")


@dataclass(frozen=True, slots=True)
class Asynchronous(Term):
    """Gradients are applied as they arrive, up to `max_staleness` steps old."""

    max_staleness: int = arg("most steps old", default=4, unit="steps", minimum=0)
    compensation: str = arg(
        "what is done about staleness",
        default="none",
        choices=("none", "damped", "dc"),
        cites=(("damped", "zhang2016staleness"), ("dc", "zheng2017asynchronous")),
    )
    strength: float = arg("strength of `dc`", default=0.04, minimum=0.0)
    delays: Delays = arg("law of the delays", default=Delays(), family="delays")


@dataclass(frozen=True, slots=True)
class Hogwild(Term):
    """Updates are written without locks, coordinate by coordinate."""

    max_staleness: int = arg("most steps old", default=2, unit="steps", minimum=0)


@dataclass(frozen=True, slots=True)
class Local(Term):
    """Each copy takes `every` steps alone; then the copies meet (local SGD, DiLoCo)."""

    every: int = arg("steps between two exchanges", unit="steps", minimum=1)
    outer: Average | Nesterov | SlowMo | Bmuf = arg(
        "what the copies do when they meet", default=Average(), family="outer"
    )
    state: str = arg(
        "what happens to the optimizer's state when the copies meet",
        default="keep",
        choices=("keep", "average", "reset"),
    )
    fragments: int = arg(
        "parts of the model, each exchanged in its own turn",
        default=1,
        minimum=1,
        cites=_STREAMING,
    )
    delay: int = arg(
        "steps from sending to merging",
        default=0,
        unit="steps",
        minimum=0,
        cites=_STREAMING,
    )
    merge: float = arg(
        "share of the local value kept at merging",
        default=0.0,
        minimum=0.0,
        maximum=1.0,
        cites=_STREAMING,
    )


@dataclass(frozen=True, slots=True)
class Elastic(Term):
    """The copies and a centre pull at each other every few steps (EASGD)."""

    every: int = arg("steps between two pulls", default=10, unit="steps", minimum=1)
    rho: float = arg("total pull on the centre", default=0.9, minimum=0.0)
