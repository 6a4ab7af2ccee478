"""The cross product: every rule with every centralization and every codec.

What the checker refuses is counted by its code; what it accepts is compiled and held
against the reference engine.
"""

import itertools
import math
import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Average,
    Axis,
    Bmuf,
    Call,
    Cast,
    Delays,
    Dgc,
    Elastic,
    Gossip,
    Gradiveq,
    Hogwild,
    Int4,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    OneBit,
    ParameterServer,
    Pipelined,
    PowerSgd,
    Qsgd,
    RandomK,
    Replicas,
    Scheduled,
    Scheme,
    Sign,
    SlowMo,
    StaleSynchronous,
    Synchronous,
    Ternary,
    TopK,
    Train,
    phases_of,
)

STEPS = 20
OPTIMIZER = Call("adam", (("learning_rate", 0.003),))

RULES: tuple[Any, ...] = (
    Synchronous(),
    Pipelined(delay=2),
    StaleSynchronous(bound=2, delays=Delays(mean=1.0, seed=3)),
    Asynchronous(max_staleness=3),
    Asynchronous(max_staleness=2, compensation="damped"),
    Asynchronous(max_staleness=2, compensation="dc", delays=Delays("geometric")),
    Hogwild(max_staleness=2),
    Local(every=4),
    Local(every=4, outer=Nesterov()),
    Local(every=4, outer=SlowMo()),
    Local(every=4, outer=Bmuf()),
    Local(every=4, outer=Bmuf(nesterov=False, momentum=0.5)),
    Local(every=4, outer=Average(), state="average"),
    Local(every=4, outer=Average(), state="reset"),
    Local(every=4, outer=Nesterov(), fragments=2, delay=1, merge=0.5),
    Elastic(every=4),
)
CENTRALIZATIONS: tuple[Any, ...] = (
    AllReduce(),
    AllReduce(algorithm="ring"),
    AllReduce(algorithm="tree"),
    AllReduce(algorithm="two_phase"),
    AllReduce(reduce="adasum"),
    AllReduce(reduce="majority"),
    ParameterServer(),
    ParameterServer(shards=1, backup=1),
    Gossip(topology="ring"),
    Gossip(topology="exponential"),
    Gossip(topology="exponential", push_sum=True),
    Gossip(topology="hypercube"),
    Gossip(topology="complete"),
    Gossip(topology="pairs"),
    Gossip(topology="chain", push_sum=True),
)
CODECS: tuple[Any, ...] = (
    NoCompression(),
    Cast("bf16"),
    Cast("fp8_e4m3", feedback=True),
    Int8(block=8),
    Int8(block=8, feedback=False),
    Int4(block=8),
    Int4(block=8, feedback=False),
    Qsgd(bits=4, bucket=8),
    Ternary(),
    Sign(block=8),
    Sign(block=8, feedback=False),
    OneBit(start=5),
    TopK(density=0.1),
    RandomK(density=0.2),
    Dgc(density=0.1, warmup=4),
    PowerSgd(rank=1, start=3),
    Gradiveq(slice=6, keep=2, every=4),
)


# Rule, centralization and codec of each axis of so many members, outermost first: for
# tensors larger than a block, whose last block is filled in part. The first five, which
# have each kind of these once, are what `make test` runs.
_LARGER: tuple[tuple[tuple[int, ...], tuple[tuple[Any, Any, Any], ...]], ...] = (
    ((4,), ((Synchronous(), AllReduce(), Sign()),)),
    ((4,), ((Synchronous(), ParameterServer(), Sign(block=256)),)),
    (
        (4,),
        (
            (
                Synchronous(),
                Scheduled(((AllReduce(algorithm="two_phase"), 8), (AllReduce(), None))),
                OneBit(start=5),
            ),
        ),
    ),
    (
        (2, 3),
        (
            (Synchronous(), ParameterServer(), Int8(block=8)),
            (Synchronous(), AllReduce(), OneBit(start=5)),
        ),
    ),
    ((4,), ((Synchronous(), AllReduce(), PowerSgd(rank=2, start=3)),)),
    ((3,), ((Synchronous(), AllReduce(), Sign(block=256)),)),
    ((2,), ((Local(every=4), AllReduce(), Sign(block=128)),)),
    (
        (3,),
        (
            (
                Synchronous(),
                ParameterServer(shards=2),
                Scheduled(((Sign(block=96), 7), (Sign(block=256), None))),
            ),
        ),
    ),
    (
        (3, 2),
        (
            (Synchronous(), AllReduce(), OneBit(start=5)),
            (Synchronous(), AllReduce(), OneBit(start=8)),
        ),
    ),
    (
        (2, 2),
        (
            (Local(every=4, outer=Nesterov()), AllReduce(), Int8()),
            (Synchronous(), AllReduce(), OneBit(start=5)),
        ),
    ),
    ((2,), ((Local(every=4), AllReduce(), PowerSgd(rank=1)),)),
    ((4,), ((Synchronous(), AllReduce(), Dgc(density=0.01)),)),
    ((4,), ((Synchronous(), AllReduce(), Gradiveq(slice=50, keep=4, every=4)),)),
)

# Sizes of up to three axes, over 8 devices at most.
GRIDS = tuple(
    sizes
    for num in (1, 2, 3)
    for sizes in itertools.product((1, 2, 3, 4, 5, 6, 8), repeat=num)
    if math.prod(sizes) <= 8
)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Combinations that the checker accepts, and why it refused the others.

    Attributes:
        accepted: Schemes.
        refused: How many schemes each code refused; a scheme counts for its first.
    """

    accepted: tuple[Scheme, ...]
    refused: Counter[str]

    def __str__(self) -> str:
        codes = ", ".join(f"{code} {n}" for code, n in sorted(self.refused.items()))
        return (
            f"{len(self.accepted)} accepted, {self.refused.total()} refused ({codes})"
        )


def one_axis(size: int = 4, precision: str = "fp32") -> Sorted:
    """Sorts the whole product over one axis."""
    return sort(everything(size, precision))


def everything(size: int = 4, precision: str = "fp32") -> Iterator[Scheme]:
    """Yields the whole product over one axis."""
    for choice in itertools.product(RULES, CENTRALIZATIONS, CODECS):
        yield scheme_of((size,), (choice,), precision)


def two_axes(precision: str = "fp32") -> Sorted:
    """Sorts pairs of axes: every rule and centralization outside every other.

    The codec of each is the next one that it goes with over one axis, so that all of
    them take part.
    """
    kinds: dict[Any, list[Replicas]] = {}
    for scheme in one_axis(2).accepted:
        block = scheme.replicas[0]
        kinds.setdefault((block.consistency, block.centralization), []).append(block)
    turns = {kind: itertools.cycle(blocks) for kind, blocks in kinds.items()}
    return sort(
        scheme_of((2, 2), (_choice(next(turns[a])), _choice(next(turns[b]))), precision)
        for a, b in itertools.product(kinds, repeat=2)
    )


def chosen_pairs(precision: str = "fp32") -> tuple[Scheme, ...]:
    """Returns every eighth pair of axes, and the few that have `onebit`."""
    accepted = two_axes(precision).accepted
    return tuple(
        scheme
        for place, scheme in enumerate(accepted)
        if place % 8 == 0 or has_onebit(scheme)
    )


def has_onebit(scheme: Scheme) -> bool:
    """Whether 1-bit Adam is among a scheme's codecs."""
    phases = [p for block in scheme.replicas for p in phases_of(block.compression)]
    return any(isinstance(phase.value, OneBit) for phase in phases)


def drawn(num: int, precision: str = "fp32", seed: int = 0) -> tuple[Scheme, ...]:
    """Draws legal schemes: 1 to 3 axes of 1 to 8 members, some of them scheduled."""
    rng = random.Random(seed)
    found: dict[Scheme, None] = {}
    while len(found) < num:
        sizes = rng.choice(GRIDS)
        choices = tuple(_drawn_choice(rng) for _ in sizes)
        scheme = scheme_of(sizes, choices, precision)
        if not any(f.severity == "error" for f in legality(scheme)):
            found[scheme] = None
    return tuple(found)


def star(precision: str = "fp32") -> tuple[Scheme, ...]:
    """Returns schemes in which one choice at most is not the default."""
    accepted = one_axis(precision=precision).accepted
    plain = (RULES[0], CENTRALIZATIONS[0], CODECS[0])
    return tuple(
        scheme
        for scheme in accepted
        if sum(a != b for a, b in zip(_choice(scheme.replicas[0]), plain, strict=True))
        <= 1
    )


def larger_than_a_block(precision: str = "fp32") -> tuple[Scheme, ...]:
    """Returns schemes for a task with a tensor of three dims and many values."""
    made = [scheme_of(sizes, choices, precision) for sizes, choices in _LARGER]
    sorted_out = sort(made)
    assert len(sorted_out.accepted) == len(made), sorted_out
    return sorted_out.accepted


def _drawn_choice(rng: random.Random) -> tuple[Any, Any, Any]:
    """Draws a choice of each kind; each is the default half of the time."""
    return (
        _scheduled(rng, RULES, 4),
        _scheduled(rng, CENTRALIZATIONS, 1),
        _scheduled(rng, CODECS, 1),
    )


def _scheduled(rng: random.Random, choices: tuple[Any, ...], unit: int) -> Any:
    first, second = (rng.choice((choices[0], rng.choice(choices))) for _ in range(2))
    if rng.random() < 0.75 or first == second:
        return rng.choice((first, second))
    return Scheduled(((first, unit * rng.randint(1, 3)), (second, None)))


def sort(schemes: Iterable[Scheme]) -> Sorted:
    """Asks the checker about each scheme."""
    accepted: list[Scheme] = []
    refused: Counter[str] = Counter()
    for scheme in schemes:
        errors = [f for f in legality(scheme) if f.severity == "error"]
        if errors:
            refused[errors[0].code] += 1
        else:
            accepted.append(scheme)
    return Sorted(tuple(accepted), refused)


def scheme_of(
    sizes: tuple[int, ...], choices: tuple[tuple[Any, Any, Any], ...], precision: str
) -> Scheme:
    """Returns a scheme of (rule, centralization, codec) an axis, outermost first."""
    names = ("site", "host", "chip")[-len(sizes) :]
    return Scheme(
        "product",
        train=Train(optimizer=OPTIMIZER, steps=STEPS, precision=precision),
        mesh=tuple(Axis(n, size) for n, size in zip(names, sizes, strict=True)),
        replicas=tuple(
            Replicas(name, consistency=when, centralization=who, compression=form)
            for name, (when, who, form) in zip(names, choices, strict=True)
        ),
    )


def _choice(block: Replicas) -> tuple[Any, Any, Any]:
    return block.consistency, block.centralization, block.compression
