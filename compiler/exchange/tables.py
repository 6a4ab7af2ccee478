"""Which factory builds which term of the language: a row a term.

A new algorithm is one file beside these and one row here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from diamond.compiler.exchange.centralization import allreduce
from diamond.compiler.exchange.compression.cast import cast
from diamond.compiler.exchange.compression.int8 import int8
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.consistency.local import local
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.contract import Codec, Mixer, Outer, Rule, Way
from diamond.compiler.exchange.outer.average import average
from diamond.compiler.exchange.outer.nesterov import nesterov
from diamond.compiler.plan import Route
from diamond.dsl import vocabulary as words

T = TypeVar("T")

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
RULES: dict[type, Callable[..., Rule]] = {
    words.Synchronous: lambda term, **how: synchronous(),
    words.Local: lambda term, **how: local(
        every=term.every, outer=outer_of(term.outer), **how
    ),
}


def codec_of(term: Any) -> Codec:
    """Builds the codec of a compression term."""
    return _row(CODECS, term)(term)


def mixer_of(
    term: Any, *, axis: str, size: int, codec: Codec, route: Route | None = None
) -> Mixer:
    """Builds the mixer of a centralization term; its own route where none is given."""
    return _row(MIXERS, term)(term, axis=axis, size=size, codec=codec, route=route)


def way_of(term: Any, **how: Any) -> Way:
    """Returns how the mean of a centralization term travels."""
    return _row(WAYS, term)(term, **how)


def outer_of(term: Any) -> Outer:
    """Builds the outer step of an outer term."""
    return _row(OUTERS, term)(term)


def rule_of(term: Any, *, is_exact: bool, has_anchor: bool | None = None) -> Rule:
    """Builds the rule of a consistency term over a mean that is exact or not."""
    return _row(RULES, term)(term, is_exact=is_exact, has_anchor=has_anchor)


def _row(table: dict[type, T], term: Any) -> T:
    """Returns the row of a term.

    Raises:
        ValueError: If the term is not built, or is no term but a word or a class.
    """
    if type(term) in table:
        return table[type(term)]
    built = ", ".join(kind.__name__ for kind in table)
    raise ValueError(f"{term!r} is none of what is built: an instance of {built}")
