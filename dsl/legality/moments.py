"""Rules about the second moment of Adam, which 1-bit Adam freezes and divides by.

A value whose second moment is zero then moves by its momentum over `eps` from there on.
"""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.vocabulary.compression import Dgc, OneBit, RandomK, TopK
from diamond.dsl.vocabulary.consistency import Local
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of


def settled(scheme: Scheme) -> Iterator[Finding]:
    """What is frozen has been an average of squares for all values."""
    for frozen, freeze in _frozen(scheme):
        for replicas in outermost_first(scheme):
            for part in parts_of(replicas, "consistency"):
                ends_before = part.stop is not None and part.stop <= freeze
                is_reset = isinstance(part.term, Local) and part.term.state == "reset"
                if is_reset and not ends_before:
                    yield _begun_afresh(frozen, part)
            for part in parts_of(replicas, "compression"):
                leaves_out = isinstance(part.term, TopK | RandomK | Dgc)
                if leaves_out and part.start < freeze:
                    yield _left_out(frozen, part)


def _frozen(scheme: Scheme) -> Iterator[tuple[Part, int]]:
    """Yields where `onebit` stands, with the step at which it freezes."""
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "compression"):
            if isinstance(part.term, OneBit):
                yield part, part.start + part.term.start


def _begun_afresh(frozen: Part, part: Part) -> Finding:
    return _unsettled(
        frozen,
        part,
        (*part.path, "state"),
        f"`state = reset` over `{part.axis}` begins it afresh, at zero",
        "`state = keep` or `state = average`",
    )


def _left_out(frozen: Part, part: Part) -> Finding:
    return _unsettled(
        frozen,
        part,
        part.path,
        f"`{word_of(part.term)}` over `{part.axis}` leaves values out, and those that "
        "were never sent before have none",
        "a codec that sends every value, such as `int8`",
    )


def _unsettled(
    frozen: Part, part: Part, path: Path, reason: str, way_out: str
) -> Finding:
    return Finding(
        "D098",
        f"`onebit` over `{frozen.axis}` freezes Adam's second moment and divides by "
        f"it, and {reason}",
        path,
        expected=way_out,
        help=f"take {way_out}, or `sign` in place of `onebit`",
        labels=((frozen.path, "`onebit` here"),),
    )
