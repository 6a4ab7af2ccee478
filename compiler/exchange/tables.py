"""Which factory builds which term of the language: a row a term.

A new algorithm is one file beside these and one row here.
"""

from collections.abc import Callable
from typing import Any

from diamond.compiler.exchange.centralization import allreduce
from diamond.compiler.exchange.compression.cast import cast
from diamond.compiler.exchange.compression.int8 import int8
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.consistency.local import local
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.contract import Codec, Mixer, Outer, Rule, Way
from diamond.compiler.exchange.outer.average import average
from diamond.compiler.exchange.outer.nesterov import nesterov
from diamond.dsl import vocabulary as words

CODECS: dict[type, Callable[[Any], Codec]] = {
    words.NoCompression: lambda term: none(),
    words.Cast: lambda term: cast(to=term.to, feedback=term.feedback),
    words.Int8: lambda term: int8(block=term.block, feedback=term.feedback),
}
MIXERS: dict[type, Callable[..., Mixer]] = {
    words.AllReduce: lambda term, **how: allreduce.allreduce(**how),
}
WAYS: dict[type, Callable[..., Way]] = {
    words.AllReduce: lambda term, **how: allreduce.way(**how),
}
OUTERS: dict[type, Callable[[Any], Outer]] = {
    words.Average: lambda term: average(),
    words.Nesterov: lambda term: nesterov(lr=term.lr, momentum=term.momentum),
}
RULES: dict[type, Callable[[Any, bool], Rule]] = {
    words.Synchronous: lambda term, is_exact: synchronous(),
    words.Local: lambda term, is_exact: local(
        every=term.every, outer=outer_of(term.outer), is_exact=is_exact
    ),
}


def codec_of(term: Any) -> Codec:
    """Builds the codec of a compression term."""
    return CODECS[type(term)](term)


def mixer_of(term: Any, *, axis: str, size: int, codec: Codec) -> Mixer:
    """Builds the mixer of a centralization term."""
    return MIXERS[type(term)](term, axis=axis, size=size, codec=codec)


def way_of(term: Any, **how: Any) -> Way:
    """Returns how the mean of a centralization term travels."""
    return WAYS[type(term)](term, **how)


def outer_of(term: Any) -> Outer:
    """Builds the outer step of an outer term."""
    return OUTERS[type(term)](term)


def rule_of(term: Any, *, is_exact: bool) -> Rule:
    """Builds the rule of a consistency term over a mean that is exact or not."""
    return RULES[type(term)](term, is_exact)
