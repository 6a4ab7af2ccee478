"""Compression: in what form values cross an axis."""

from dataclasses import dataclass
from typing import Any

from diamond.dsl.vocabulary.fields import Term, arg


def _feedback(default: bool = True, *papers: str) -> Any:
    return arg(
        "keep what was lost and add it next time",
        default=default,
        cites=tuple((True, paper) for paper in papers),
    )


# Feedback at the member and at the server of a chunk.
_TWO_SIDED = "zheng2019communication"


def _block(default: int, multiple: int = 1) -> Any:
    packed = multiple if multiple > 1 else None  # values that share a byte
    return arg(
        "values that share a scale", default=default, minimum=multiple, multiple=packed
    )


def _exclude() -> Any:
    return arg("patterns of tensors that cross as they are", default=())


def _density(default: float) -> Any:
    return arg(
        "share of the values", default=default, unit="ratio", above=0.0, maximum=1.0
    )


def _start() -> Any:
    return arg("dense steps first", default=0, unit="steps", minimum=0)


@dataclass(frozen=True, slots=True)
class NoCompression(Term):
    """Values cross as they are."""


@dataclass(frozen=True, slots=True)
class Cast(Term):
    """Values cross in a narrower floating-point type."""

    to: str = arg(
        "the type on the wire",
        default="bf16",
        choices=("bf16", "fp16", "fp8_e4m3", "fp8_e5m2"),
        cites=(
            ("fp8_e4m3", "micikevicius2022fp8"),
            ("fp8_e5m2", "micikevicius2022fp8"),
        ),
    )
    feedback: bool = _feedback(False, _TWO_SIDED)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Int8(Term):
    """Values cross as 8-bit integers with a scale a block."""

    block: int = _block(256)
    feedback: bool = _feedback(True, _TWO_SIDED)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Int4(Term):
    """Values cross as 4-bit integers, two to a byte, with a scale a block."""

    block: int = _block(128, multiple=2)
    feedback: bool = _feedback(True, _TWO_SIDED)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Qsgd(Term):
    """Stochastic rounding to a few levels of a bucket's norm."""

    bits: int = arg("bits a value, sign included", default=4, numbers=(2, 4, 8))
    bucket: int = arg("values that share a norm", default=512, minimum=1)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Ternary(Term):
    """Values cross as -1, 0 or 1 times a shared scale (TernGrad)."""

    clip: float = arg("clip at so many standard deviations", default=2.5, minimum=0.0)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Sign(Term):
    """Only the signs cross, with a scale a block (signSGD, EF-signSGD)."""

    block: int = _block(1024, multiple=8)
    feedback: bool = _feedback(True, "karimireddy2019error", _TWO_SIDED)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class OneBit(Term):
    """1-bit Adam: momentum crosses as signs once the variance is frozen."""

    start: int = arg("steps of plain Adam first", default=250, unit="steps", minimum=0)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class TopK(Term):
    """Only the largest values cross, with their places."""

    density: float = _density(0.01)
    feedback: bool = _feedback()
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class RandomK(Term):
    """Values at shared random places cross."""

    density: float = _density(0.05)
    feedback: bool = _feedback()
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Dgc(Term):
    """Deep gradient compression: top-k with momentum correction and a warm-up."""

    density: float = _density(0.001)
    momentum: float = arg("corrected momentum", default=0.9, minimum=0.0, maximum=1.0)
    warmup: int = arg("steps of warm-up", default=0, unit="steps", minimum=0)
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class PowerSgd(Term):
    """Low-rank factors cross."""

    rank: int = arg("rank of the factors", default=1, minimum=1)
    start: int = _start()
    feedback: bool = _feedback()
    exclude: tuple[str, ...] = _exclude()


@dataclass(frozen=True, slots=True)
class Gradiveq(Term):
    """Coefficients in a learned linear basis cross."""

    slice: int = arg("values a vector", default=256, minimum=2)
    keep: int = arg("coefficients a vector", default=32, minimum=1)
    every: int = arg("exchanges a basis lasts", default=20, minimum=1)
    feedback: bool = _feedback(False)
    exclude: tuple[str, ...] = _exclude()


Compression = (
    NoCompression
    | Cast
    | Int8
    | Int4
    | Qsgd
    | Ternary
    | Sign
    | OneBit
    | TopK
    | RandomK
    | Dgc
    | PowerSgd
    | Gradiveq
)
