"""Centralization: who talks to whom over an axis."""

from dataclasses import dataclass

from diamond.dsl.vocabulary.fields import Term, arg


@dataclass(frozen=True, slots=True)
class AllReduce(Term):
    """Every copy gets the reduction over all copies."""

    reduce: str = arg(
        "how the contributions become one",
        default="mean",
        choices=("mean", "adasum", "majority"),
        cites=(
            ("adasum", "maleki2021scaling"),
            ("majority", "bernstein2018signsgd"),
            ("majority", "bernstein2019majority"),
        ),
    )
    algorithm: str = arg(
        "how the messages travel",
        default="auto",
        choices=("auto", "ring", "tree", "two_phase"),
        cites=(
            ("ring", "patarasuk2009bandwidth"),
            ("tree", "thakur2005optimization"),
            ("two_phase", "thakur2005optimization"),
        ),
    )


@dataclass(frozen=True, slots=True)
class ParameterServer(Term):
    """Shards of a server own parameters and the optimizer's state."""

    shards: int | None = arg(
        "number of shards; one a member where not given", default=None, minimum=1
    )
    backup: int = arg(
        "late members whose work is dropped",
        default=0,
        minimum=0,
        cites=((..., "chen2016revisiting"),),
    )


@dataclass(frozen=True, slots=True)
class Gossip(Term):
    """Each copy averages with its neighbours only."""

    topology: str = arg(
        "who the neighbours are",
        default="exponential",
        choices=("ring", "exponential", "hypercube", "complete", "pairs", "chain"),
        cites=(("exponential", "assran2019stochastic"),),
    )
    push_sum: bool = arg(
        "carry push-sum weights (SGP)",
        default=False,
        cites=((True, "assran2019stochastic"),),
    )
