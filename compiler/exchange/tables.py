"""Which factory builds which term of the language: a row a term.

A new algorithm is one file beside these and one row here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from diamond.compiler.exchange.centralization.adasum import adasum
from diamond.compiler.exchange.centralization.allreduce import allreduce
from diamond.compiler.exchange.centralization.gossip import gossip
from diamond.compiler.exchange.centralization.majority import majority
from diamond.compiler.exchange.centralization.parameter_server import (
    lots_of,
    parameter_server,
)
from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.compression.cast import cast
from diamond.compiler.exchange.compression.dgc import dgc
from diamond.compiler.exchange.compression.gradiveq import gradiveq
from diamond.compiler.exchange.compression.int4 import int4
from diamond.compiler.exchange.compression.int8 import int8
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.compression.onebit import onebit
from diamond.compiler.exchange.compression.powersgd import powersgd
from diamond.compiler.exchange.compression.qsgd import qsgd
from diamond.compiler.exchange.compression.randomk import randomk
from diamond.compiler.exchange.compression.sign import sign
from diamond.compiler.exchange.compression.ternary import ternary
from diamond.compiler.exchange.compression.topk import topk
from diamond.compiler.exchange.consistency.asynchronous import asynchronous
from diamond.compiler.exchange.consistency.elastic import elastic
from diamond.compiler.exchange.consistency.hogwild import hogwild
from diamond.compiler.exchange.consistency.local import averaged, local
from diamond.compiler.exchange.consistency.pipelined import pipelined
from diamond.compiler.exchange.consistency.stale_synchronous import stale_synchronous
from diamond.compiler.exchange.consistency.streaming import streaming
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.contract import Codec, Compressor, Mixer, Outer, Rule
from diamond.compiler.exchange.delays import Law, law_of
from diamond.compiler.exchange.dense import dense_places, with_dense
from diamond.compiler.exchange.noise import Stream
from diamond.compiler.exchange.outer.average import average
from diamond.compiler.exchange.outer.bmuf import bmuf
from diamond.compiler.exchange.outer.nesterov import nesterov
from diamond.compiler.exchange.outer.slowmo import slowmo
from diamond.compiler.exchange.site import Site
from diamond.dsl import vocabulary as words

T = TypeVar("T")

CODECS: dict[type, Callable[[Any], Codec]] = {
    words.NoCompression: lambda term: none(),
    words.Cast: lambda term: cast(to=term.to, feedback=term.feedback),
    words.Int8: lambda term: int8(block=term.block, feedback=term.feedback),
    words.Int4: lambda term: int4(block=term.block, feedback=term.feedback),
    words.Qsgd: lambda term: qsgd(bits=term.bits, bucket=term.bucket),
    words.Sign: lambda term: sign(block=term.block, feedback=term.feedback),
}
COMPRESSORS: dict[type, Callable[[Any, Site], Compressor]] = {
    words.TopK: lambda term, site: topk(density=term.density, feedback=term.feedback),
    words.RandomK: lambda term, site: randomk(
        density=term.density, feedback=term.feedback
    ),
    words.Dgc: lambda term, site: dgc(density=term.density, momentum=term.momentum),
    words.PowerSgd: lambda term, site: powersgd(
        rank=term.rank,
        feedback=term.feedback,
        seed=site.wire.stream_alike(Stream.FACTORS),
    ),
    words.Ternary: lambda term, site: ternary(clip=term.clip, size=site.wire.size),
    words.OneBit: lambda term, site: onebit(
        warm=term.start > 0, adam=site.adam, size=site.wire.size
    ),
    words.Gradiveq: lambda term, site: gradiveq(
        slice=term.slice,
        keep=term.keep,
        every=term.every,
        feedback=term.feedback,
        seed=site.wire.stream_alike(Stream.BASES),
    ),
}
MIXERS: dict[type, Callable[[Any, Any, Site], Mixer]] = {
    words.AllReduce: lambda term, form, site: _allreduce(term, form, site),
    words.ParameterServer: lambda term, form, site: _server(term, form, site),
    words.Gossip: lambda term, form, site: gossip(
        wire=site.wire,
        codec=codec_of(form),
        dense=_dense(form, site, codec_of(form)),
        topology=term.topology,
        push_sum=term.push_sum,
    ),
}
OUTERS: dict[type, Callable[[Any, Site], Outer]] = {
    words.Average: lambda term, site: average(),
    words.Nesterov: lambda term, site: nesterov(lr=term.lr, momentum=term.momentum),
    words.SlowMo: lambda term, site: slowmo(lr=term.lr, momentum=term.momentum),
    words.Bmuf: lambda term, site: bmuf(
        lr=term.lr,
        momentum=term.momentum,
        nesterov=term.nesterov,
        size=site.wire.size,
    ),
}
RULES: dict[type, Callable[..., Rule]] = {
    words.Synchronous: lambda term, site, **how: synchronous(),
    words.Pipelined: lambda term, site, **how: pipelined(delay=term.delay),
    words.StaleSynchronous: lambda term, site, **how: stale_synchronous(
        delays=_law(term.delays, term.bound), wire=site.wire
    ),
    words.Asynchronous: lambda term, site, **how: asynchronous(
        max_staleness=term.max_staleness,
        compensation=term.compensation,
        strength=term.strength,
        delays=_law(term.delays, term.max_staleness),
        wire=site.wire,
    ),
    words.Hogwild: lambda term, site, **how: hogwild(
        max_staleness=term.max_staleness, wire=site.wire
    ),
    words.Local: lambda term, site, **how: _local(term, site, **how),
    words.Elastic: lambda term, site, **how: elastic(
        every=term.every, rho=term.rho, wire=site.wire
    ),
}


def codec_of(term: Any) -> Codec:
    """Builds the codec of a compression term that is one."""
    return _row(CODECS, term)(term)


def compressor_of(term: Any, site: Site) -> Compressor:
    """Builds the mean in the form of a compression term; some leaves stay dense."""
    if type(term) in CODECS:
        made = coded(codec_of(term), site.wire.size)
    else:
        made = _row(COMPRESSORS, term)(term, site)
    dense = dense_places(site.tensors, made, getattr(term, "exclude", ()))
    return with_dense(made, dense, len(site.tensors))


def mixer_of(who: Any, form: Any, site: Site) -> Mixer:
    """Builds the mixer of a centralization term and a compression term."""
    return _row(MIXERS, who)(who, form, site)


def outer_of(term: Any, site: Site) -> Outer:
    """Builds the outer step of an outer term."""
    return _row(OUTERS, term)(term, site)


def rule_of(
    when: Any,
    who: Any,
    site: Site,
    *,
    is_exact: bool,
    has_anchor: bool | None = None,
) -> Rule:
    """Builds the rule of a consistency term over a mean that is exact or not.

    Under a gossip, parameters become what the neighbours' make of them.
    """
    if isinstance(who, words.Gossip):
        return averaged(every=getattr(when, "every", 1))
    return _row(RULES, when)(when, site, is_exact=is_exact, has_anchor=has_anchor)


def is_exact(form: Any, who: Any) -> bool:
    """Whether parameters may cross themselves, and not how far they moved.

    They may where the copies' mean is formed and nothing lost, and in a gossip.
    """
    if isinstance(who, words.Gossip):
        return True
    joins = isinstance(who, words.AllReduce) and who.reduce != "mean"
    return not joins and type(form) in CODECS and codec_of(form).is_exact


def _allreduce(term: Any, form: Any, site: Site) -> Mixer:
    if term.reduce == "adasum":
        return adasum(wire=site.wire)
    if term.reduce == "majority":
        return majority(wire=site.wire, dense=_dense(form, site, none()))
    return allreduce(
        wire=site.wire,
        compressor=compressor_of(form, site),
        algorithm=term.algorithm,
    )


def _server(term: Any, form: Any, site: Site) -> Mixer:
    forms = site.forms or (form,)
    blocks = [codec_of(each).block for each in forms]
    dense = [_dense(each, site, codec_of(each)) for each in forms]
    return parameter_server(
        wire=site.wire,
        codec=codec_of(form),
        lots=lots_of(blocks, dense, len(site.tensors)),
        dense=_dense(form, site, codec_of(form)),
        shards=term.shards,
        backup=term.backup,
    )


def _dense(form: Any, site: Site, codec: Codec) -> frozenset[int]:
    """Returns the places of the leaves that a codec of a term leaves as they are."""
    exclude = getattr(form, "exclude", ())
    return frozenset(dense_places(site.tensors, coded(codec, site.wire.size), exclude))


def _law(term: words.Delays, most: int) -> Law:
    return law_of(law=term.law, mean=term.mean, seed=term.seed, most=most)


def _local(term: Any, site: Site, **how: Any) -> Rule:
    outer = outer_of(term.outer, site)
    if term.fragments == 1 and term.delay == 0 and term.merge == 0:
        return local(every=term.every, outer=outer, keeping=term.state, **how)
    return streaming(every=term.every, outer=outer, delay=term.delay, merge=term.merge)


def _row(table: dict[type, T], term: Any) -> T:
    """Returns the row of a term.

    Raises:
        ValueError: If the term is not built, or is no term but a word or a class.
    """
    if type(term) in table:
        return table[type(term)]
    built = ", ".join(kind.__name__ for kind in table)
    raise ValueError(f"{term!r} is none of what is built: an instance of {built}")
