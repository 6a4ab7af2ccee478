"""Parallelism: how one model is cut up over an axis, and other roles of an axis."""

from dataclasses import dataclass

from diamond.dsl.vocabulary.compression import Compression, NoCompression
from diamond.dsl.vocabulary.fields import Term, arg


@dataclass(frozen=True, slots=True)
class Zero(Term):
    """Optimizer state, gradients and parameters are sharded, by stage."""

    stage: int = arg("how much is sharded", default=3, minimum=1, maximum=3)
    compression: Compression = arg(
        "in what form gradients cross to the owners of their shards",
        default=NoCompression(),
        family="compression",
        cites=((..., "wang2023zero"),),
    )


@dataclass(frozen=True, slots=True)
class Tensor(Term):
    """Weights are cut along their logical dims (heads, mlp, vocab)."""


@dataclass(frozen=True, slots=True)
class Sequence(Term):
    """Tokens of one sequence are spread over the axis."""

    method: str = arg(
        "how attention sees the rest",
        default="ring",
        choices=("ring", "all_to_all"),
        cites=(("ring", "liu2024ring"), ("all_to_all", "jacobs2023deepspeed")),
    )


@dataclass(frozen=True, slots=True)
class Pipeline(Term):
    """Blocks are spread over the axis; microbatches flow through them."""

    schedule: str = arg(
        "order of the ticks",
        default="one_f_one_b",
        choices=("gpipe", "one_f_one_b", "interleaved", "zero_bubble"),
        cites=(
            ("gpipe", "huang2019gpipe"),
            ("one_f_one_b", "narayanan2021efficient"),
            ("interleaved", "narayanan2021efficient"),
            ("zero_bubble", "qi2024zero"),
        ),
    )
    microbatches: int = arg("microbatches a step", default=4, minimum=1)
    chunks: int = arg("chunks of blocks a stage", default=1, minimum=1)


@dataclass(frozen=True, slots=True)
class Expert(Term):
    """Feed-forward layers become mixtures of experts, spread over the axis."""

    experts: int = arg("experts a layer", default=8, minimum=2)
    top_k: int = arg("experts a token", default=2, minimum=1)
    capacity: float = arg(
        "room that an expert has, over what it would need if tokens were shared out "
        "evenly; tokens without room pass by",
        default=1.25,
        above=0.0,
    )
    balance: float = arg(
        "weight of the loss that keeps experts evenly busy", default=0.01, minimum=0.0
    )


@dataclass(frozen=True, slots=True)
class Features(Term):
    """Each device holds some columns of the data, and the rows of a layer for them."""


@dataclass(frozen=True, slots=True)
class Ensemble(Term):
    """Members train alone and are consolidated by their predictions."""

    consolidation: str = arg(
        "how predictions become one: by their mean, or by most votes",
        default="average",
        choices=("average", "vote"),
        cites=(("vote", "hansen1990neural"),),
    )


@dataclass(frozen=True, slots=True)
class Coded(Term):
    """Gradient coding: some members may be late without loss."""

    stragglers: int = arg("members that may be late", default=1, minimum=0)
    code: str = arg("the code", default="repetition", choices=("repetition", "cyclic"))
