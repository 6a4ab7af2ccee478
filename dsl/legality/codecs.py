"""Rules about compression: what a codec goes with, and whether it has feedback."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.kinds import (
    ADDITIVE,
    GOSSIPED,
    GRADIENTS_ONLY,
    VECTOR,
    Terms,
)
from diamond.dsl.legality.laid import scattered
from diamond.dsl.legality.timeline import Part, all_segments
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary import compression as form
from diamond.dsl.vocabulary.centralization import AllReduce, Gossip, ParameterServer
from diamond.dsl.vocabulary.consistency import Elastic, Local, Synchronous
from diamond.dsl.vocabulary.fields import field_of
from diamond.dsl.vocabulary.schedule import Auto
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import COMPRESSION, word_of

Limit = tuple[Terms, str, str]
# Why a codec does not go with gossip.
NO_MEMORY = (
    "a biased code needs feedback, and among neighbours that takes a copy of each "
    "neighbour's parameters on every member (CHOCO-SGD), which Diamond does not keep"
)
NO_COMMON_FORM = (
    "its code is one that all members agree on, and neighbours hear from some only"
)


def centers_fit(scheme: Scheme) -> Iterator[Finding]:
    """A codec's messages are such that the centralization can join them."""
    for segment in all_segments(scheme, "centralization", "compression"):
        center, codec = segment.parts
        if isinstance(codec.term, Auto):
            continue
        limit = _limit(center.term, codec.term)
        if limit and not isinstance(codec.term, limit[0]):
            yield _misfit(center, codec, *limit)
        elif getattr(codec.term, "feedback", False):
            yield from _no_feedback(center, codec)


def _limit(center: object, codec: object) -> Limit | None:
    """Returns the codecs that a centralization takes, its name, and why no other."""
    plain = (form.NoCompression,)
    match center:
        case ParameterServer():
            why = "the server decodes what each member sent and averages it by itself"
            return (*plain, *VECTOR), "parameter_server", why
        case Gossip():
            joint = isinstance(codec, (*ADDITIVE, form.Ternary))
            return GOSSIPED, "gossip", NO_COMMON_FORM if joint else NO_MEMORY
        case AllReduce(reduce="adasum"):
            why = "adasum weighs contributions by the angles between them"
            return plain, "reduce = adasum", why
        case AllReduce(reduce="majority"):
            return (form.Sign,), "reduce = majority", "a majority is one of signs"
        case AllReduce(algorithm="ring" | "tree" as algorithm):
            why = "each hop adds to what it received, so messages must add up"
            return ADDITIVE, f"algorithm = {algorithm}", why
    return None


def _misfit(center: Part, codec: Part, taken: Terms, name: str, why: str) -> Finding:
    expected = listed(row.name for row in COMPRESSION if row.term in taken)
    path = center.path
    if isinstance(center.term, AllReduce):
        path = (*path, name.partition(" ")[0])
    if name == "reduce = majority":
        expected = "`compression = sign(feedback = false)`"
    word = word_of(codec.term)
    help = "change one of the two"
    if isinstance(center.term, Gossip):
        help = "take `qsgd`, which is right on average, or `int8(feedback = false)`"
    return Finding(
        "D055",
        f"`{word}` over `{codec.axis}` does not go with `{name}`: {why}",
        codec.path,
        expected=expected,
        help=f"{help}: plain `allreduce` takes `{word}`",
        labels=((path, f"`{name}` here"),),
    )


def _no_feedback(center: Part, codec: Part) -> Iterator[Finding]:
    """Gossip and votes leave a codec no place for what it lost."""
    match center.term:
        case Gossip():
            name = "gossip"
            why = "parameters are sent, and what was lost is in the sender's own still"
        case AllReduce(reduce="majority"):
            name, why = "reduce = majority", "what is lost in a vote has no size"
        case _:
            return
    word = word_of(codec.term)
    yield Finding(
        "D084",
        f"`{word}` over `{codec.axis}` cannot have feedback with `{name}`: {why}",
        (*codec.path, "feedback"),
        expected="`feedback = false`",
        help=f"write `{word}(feedback = false)`",
        labels=((center.path, f"`{name}` here"),),
    )


def _errs_to_one_side(codec: object) -> bool:
    field = field_of(type(codec), "feedback")
    on = field is not None and field.default is True
    return on and not isinstance(codec, form.RandomK)


def rules_fit(scheme: Scheme) -> Iterator[Finding]:
    """A codec that is made for gradients is given gradients."""
    for segment in all_segments(scheme, "consistency", "compression"):
        rule, codec = segment.parts
        if not isinstance(codec.term, GRADIENTS_ONLY) or isinstance(rule.term, Auto):
            continue
        if isinstance(codec.term, form.OneBit):
            if not isinstance(rule.term, Synchronous):
                why = "it compresses Adam's momentum, which all copies share at a step"
                yield _not_gradients(rule, codec, "`synchronous`", why)
        elif isinstance(rule.term, Local | Elastic):
            why = "it corrects the momentum of gradients, and displacements have none"
            yield _not_gradients(rule, codec, "a rule that exchanges gradients", why)


def _not_gradients(rule: Part, codec: Part, expected: str, why: str) -> Finding:
    word, other = word_of(codec.term), word_of(rule.term)
    return Finding(
        "D056",
        f"`{word}` over `{codec.axis}` does not go with `{other}`: {why}",
        codec.path,
        expected=expected,
        help=f"take `sign` or another codec that goes with `{other}`",
        labels=((rule.path, f"`{other}` here"),),
    )


def feedback(scheme: Scheme) -> Iterator[Finding]:
    """A codec whose feedback is on by default keeps what was lost.

    `randomk` is right on average without it. Gossip and votes allow none, so there its
    lack is no fault.
    """
    for segment in all_segments(scheme, "centralization", "compression"):
        center, codec = segment.parts
        without = getattr(codec.term, "feedback", True) is False
        forced = isinstance(center.term, Gossip) or (
            isinstance(center.term, AllReduce) and center.term.reduce == "majority"
        )
        if without and not forced and _errs_to_one_side(codec.term):
            yield _forgets(codec)
    for _, codec in scattered(scheme):
        without = getattr(codec.term, "feedback", True) is False
        if without and isinstance(codec.term, VECTOR) and _errs_to_one_side(codec.term):
            yield _forgets(codec)


def _forgets(codec: Part) -> Finding:
    return Finding(
        "D061",
        f"`{word_of(codec.term)}` over `{codec.axis}` without feedback: "
        "what it rounds away is lost at every exchange",
        (*codec.path, "feedback"),
        expected="`feedback = true`, the default",
        help="without it training may stall at a higher loss",
        severity="warning",
    )
