"""Which file says what a codec means, and the questions that rules ask of any codec.

A codec is of one of three kinds:

vector    C(p) by blocks of one long vector: `coded` has its mean and its push
per leaf  a mean of its own for each coded leaf: `leafwise` has the loop
whole     a mean of its own for all leaves at once

A codec remembers something for each member; what that is concerns nobody else. The
`start` of `powersgd` and the `warmup` of `dgc` are not looked at here: they are other
codecs for some steps first, and whoever keeps the time says which is on.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from diamond.dsl.vocabulary import (
    Cast,
    Dgc,
    Gradiveq,
    Int4,
    Int8,
    NoCompression,
    OneBit,
    PowerSgd,
    Qsgd,
    RandomK,
    Sign,
    Term,
    Ternary,
    TopK,
)
from diamond.runtime.engines.reference.compression import (
    cast,
    coded,
    dgc,
    gradiveq,
    int4,
    int8,
    leafwise,
    none,
    onebit,
    powersgd,
    qsgd,
    randomk,
    sign,
    ternary,
    topk,
)
from diamond.runtime.engines.reference.compression.coded import VectorCodec
from diamond.runtime.engines.reference.compression.leafwise import LeafCodec
from diamond.runtime.engines.reference.meeting import Leaves, Meeting

State = Any
Mean = tuple[Leaves, list[State]]


class WholeCodec(NamedTuple):
    """A codec that takes all leaves at once."""

    start: Callable[[Any, Leaves, int, Meeting], list[State]]
    mean: Callable[[Any, list[Leaves], list[State], Meeting], Mean]


VECTOR: dict[type[Term], VectorCodec] = {
    Cast: VectorCodec(cast.block_of, cast.round_trip),
    Int8: VectorCodec(int8.block_of, int8.round_trip),
    Int4: VectorCodec(int4.block_of, int4.round_trip),
    Qsgd: VectorCodec(qsgd.block_of, qsgd.round_trip),
    Sign: VectorCodec(sign.block_of, sign.round_trip, minds_filling=True),
}
PER_LEAF: dict[type[Term], LeafCodec] = {
    Ternary: LeafCodec(ternary.begin, ternary.exchange),
    TopK: LeafCodec(topk.begin, topk.exchange),
    RandomK: LeafCodec(randomk.begin, randomk.exchange),
    Dgc: LeafCodec(dgc.begin, dgc.exchange, dgc.begin_dense, dgc.arrive_dense),
    PowerSgd: LeafCodec(powersgd.begin, powersgd.exchange),
    Gradiveq: LeafCodec(gradiveq.begin, gradiveq.exchange),
}
WHOLE: dict[type[Term], WholeCodec] = {
    NoCompression: WholeCodec(none.start, none.mean),
    OneBit: WholeCodec(onebit.start, onebit.mean),
}


def start(term: Term, like: Leaves, num: int, meeting: Meeting) -> list[State]:
    """Returns what each of the members remembers before the first exchange.

    Args:
        term: The codec.
        like: Leaves with the shapes and the type of what will be exchanged.
        num: The number of members.
        meeting: The axis and the paths; its count does not matter.
    """
    kind = type(term)
    if kind in VECTOR:
        return list(coded.start(VECTOR[kind], term, like, num, meeting))
    if kind in PER_LEAF:
        return list(leafwise.start(PER_LEAF[kind], term, like, num, meeting))
    return WHOLE[kind].start(term, like, num, meeting)


def mean(
    term: Term, values: list[Leaves], states: list[State], meeting: Meeting
) -> Mean:
    """Returns the mean that every member gets, and what each remembers now.

    Example:
        >>> import numpy as np
        >>> values = [[np.array([3.0])], [np.array([1.0])]]
        >>> mean(NoCompression(), values, [None, None], Meeting("site", ("w",), 0))
        ([array([2.])], [None, None])
    """
    kind = type(term)
    if kind in VECTOR:
        return coded.mean(VECTOR[kind], term, values, states, meeting)
    if kind in PER_LEAF:
        return leafwise.mean(PER_LEAF[kind], term, values, states, meeting)
    return WHOLE[kind].mean(term, values, states, meeting)


def start_push(term: Term, like: Leaves, num: int, meeting: Meeting) -> list[State]:
    """Returns what each member remembers before its first push."""
    if isinstance(term, NoCompression):
        return none.start(term, like, num, meeting)
    return list(coded.start_push(VECTOR[type(term)], term, like, num, meeting))


def push(
    term: Term,
    values: list[Leaves],
    states: list[State],
    meeting: Meeting,
    *,
    by_leaf: bool = False,
) -> tuple[list[Leaves], list[State]]:
    """Returns what each member's values are to whoever gets them; no mean is taken.

    Only `none` and the vector codecs have one. With `by_leaf` each leaf draws for
    itself.
    """
    if isinstance(term, NoCompression):
        return values, states
    codec = VECTOR[type(term)]
    return coded.push(codec, term, values, states, meeting, by_leaf=by_leaf)
