"""Rules about the order of phases: what must come first, last, or alone."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import CLAUSES, Finding
from diamond.dsl.legality.kinds import is_streaming
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.vocabulary.centralization import Gossip, ParameterServer
from diamond.dsl.vocabulary.compression import OneBit
from diamond.dsl.vocabulary.consistency import Elastic, StaleSynchronous
from diamond.dsl.vocabulary.scheme import Replicas, Scheme
from diamond.dsl.vocabulary.tables import word_of

NEVER_MEET = "its copies never become equal again, so that no other phase could follow"
STREAMED = "a model exchanged in parts or late is at no step equal on all copies"


def last(scheme: Scheme) -> Iterator[Finding]:
    """What leaves the copies apart for good is the last phase of its schedule."""
    for replicas in outermost_first(scheme):
        yield from _gossip(replicas)
        rules = parts_of(replicas, "consistency")
        for part in rules[:-1]:
            if isinstance(part.term, Elastic | StaleSynchronous):
                yield _must_end(part, word_of(part.term), NEVER_MEET, rules)
            elif is_streaming(part.term):
                yield _must_end(part, "local", STREAMED, rules)


def _must_end(part: Part, word: str, why: str, laid: list[Part]) -> Finding:
    after = laid[part.index + 1]
    return Finding(
        "D059",
        f"`{word}` over `{part.axis}` is followed by another phase at step "
        f"{after.start}: {why}",
        part.path,
        expected=f"`{word}` as the last phase of its schedule",
        help="put the other phases before it",
        labels=((after.path, "the phase that follows"),),
    )


def _gossip(replicas: Replicas) -> Iterator[Finding]:
    """Once an axis gossips, none of its clauses changes any more."""
    centers = parts_of(replicas, "centralization")
    part = next((one for one in centers if isinstance(one.term, Gossip)), None)
    if part is None:
        return
    changes = [
        after
        for clause in CLAUSES
        for after in parts_of(replicas, clause)
        if after.start > part.start
    ]
    if changes:
        after = min(changes, key=lambda one: one.start)
        yield Finding(
            "D059",
            f"`gossip` over `{part.axis}` is followed by another phase at step "
            f"{after.start}: {NEVER_MEET}",
            part.path,
            expected="`gossip` from its first step to the end of the run, with one "
            "rule and one codec",
            help="put the other phases before it",
            labels=((after.path, "the phase that follows"),),
        )


def first(scheme: Scheme) -> Iterator[Finding]:
    """1-bit Adam is the first codec of its schedule."""
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "compression")[1:]:
            if isinstance(part.term, OneBit):
                yield Finding(
                    "D059",
                    f"`onebit` over `{part.axis}` begins at step {part.start}, after "
                    "another codec: its momentum must follow Adam's from the first "
                    "step",
                    part.path,
                    expected="`onebit` as the first phase of its schedule",
                    help=f"write `onebit(start = {part.start})` alone: it has a dense "
                    "phase of its own",
                )


def servers_stay(scheme: Scheme) -> Iterator[Finding]:
    """A parameter server holds the optimizer's state for the whole run."""
    for replicas in outermost_first(scheme):
        centers = parts_of(replicas, "centralization")
        for part in centers[1:]:
            before = centers[part.index - 1]
            if ParameterServer in (type(part.term), type(before.term)):
                yield Finding(
                    "D059",
                    f"`{word_of(part.term)}` over `{part.axis}` follows "
                    f"`{word_of(before.term)}`: a server owns the optimizer's state, "
                    "and nothing hands it over in the middle of a run",
                    part.path,
                    expected="`parameter_server` for the whole run, or not at all",
                    labels=((before.path, "the phase before it"),),
                )
