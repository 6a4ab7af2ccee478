"""Warnings about what is legal and does nothing, or less than nothing."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.legality.timeline import Part, outermost_first, parts_of
from diamond.dsl.vocabulary.centralization import AllReduce
from diamond.dsl.vocabulary.compression import Dgc, Gradiveq, OneBit, PowerSgd, TopK
from diamond.dsl.vocabulary.consistency import (
    Asynchronous,
    Delays,
    Hogwild,
    Local,
    StaleSynchronous,
)
from diamond.dsl.vocabulary.fields import shown
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of

Labels = tuple[tuple[Path, str], ...]


def _parts(scheme: Scheme, *clauses: str) -> Iterator[Part]:
    for replicas in outermost_first(scheme):
        for clause in clauses:
            yield from parts_of(replicas, clause)


def _no_effect(message: str, path: Path, expected: str, labels: Labels = ()) -> Finding:
    return Finding(
        "D066", message, path, expected=expected, labels=labels, severity="warning"
    )


def staleness(scheme: Scheme) -> Iterator[Finding]:
    """Rules about stale gradients leave some gradient stale."""
    for part in _parts(scheme, "consistency"):
        name = "bound" if isinstance(part.term, StaleSynchronous) else "max_staleness"
        stale = isinstance(part.term, StaleSynchronous | Asynchronous | Hogwild)
        if stale and getattr(part.term, name) == 0:
            word = word_of(part.term)
            yield _no_effect(
                f"`{word}({name} = 0)` over `{part.axis}` is `synchronous`: nothing is "
                "late",
                (*part.path, name),
                "at least 1, or `synchronous`",
            )
        elif isinstance(part.term, Asynchronous):
            yield from _compensation(part, part.term)


def _compensation(part: Part, term: Asynchronous) -> Iterator[Finding]:
    if term.compensation != "dc" and term.strength != Asynchronous().strength:
        path = (*part.path, "compensation")
        yield _no_effect(
            f"`strength` of `asynchronous` over `{part.axis}` has no effect: it is "
            "that of `compensation = dc`",
            (*part.path, "strength"),
            "no `strength`, or `compensation = dc`",
            ((path, f"`{term.compensation}` here"),),
        )
    if term.compensation == "dc" and term.strength == 0:
        yield _no_effect(
            f"`compensation = dc` over `{part.axis}` has no effect: its strength is 0",
            (*part.path, "strength"),
            "a strength above 0, such as 0.04",
        )


def clocks(scheme: Scheme) -> Iterator[Finding]:
    """A law of delays leaves some delay possible."""
    for part in _parts(scheme, "consistency"):
        delays = getattr(part.term, "delays", None)
        if isinstance(delays, Delays) and _never_late(delays):
            yield _no_effect(
                f"the law of delays over `{part.axis}` makes nothing late: "
                f"`mean = {shown(delays.mean)}`",
                (*part.path, "delays"),
                "a larger mean, or `synchronous`",
            )


def _never_late(delays: Delays) -> bool:
    if delays.law == "geometric":
        return delays.mean == 0
    steps = 2 * delays.mean if delays.law == "uniform" else delays.mean
    return steps <= 0.5  # rounded to the even number, 0


def merging(scheme: Scheme) -> Iterator[Finding]:
    """What the copies agreed on is merged into each of them."""
    for part in _parts(scheme, "consistency"):
        if isinstance(part.term, Local) and part.term.merge == 1:
            yield Finding(
                "D062",
                f"the copies over `{part.axis}` never meet: `merge = 1` keeps each "
                "one's own values",
                (*part.path, "merge"),
                expected="less than 1, such as 0.5",
                help="lower `merge`",
                severity="warning",
            )


def routes(scheme: Scheme) -> Iterator[Finding]:
    """An algorithm is named for messages that it can carry."""
    for replicas in outermost_first(scheme):
        centers = parts_of(replicas, "centralization")
        codecs = parts_of(replicas, "compression")
        chosen = [
            part
            for part in centers
            if isinstance(part.term, AllReduce) and part.term.algorithm == "two_phase"
        ]
        gathered = [one for one in codecs if isinstance(one.term, TopK | Dgc)]
        if chosen and gathered:
            codec = gathered[0]
            yield _no_effect(
                f"`algorithm = two_phase` over `{replicas.axis}` has no effect on "
                f"`{word_of(codec.term)}`, whose values are always gathered",
                (*chosen[0].path, "algorithm"),
                "`auto`, the default",
                ((codec.path, f"`{word_of(codec.term)}` here"),),
            )


def starts(scheme: Scheme) -> Iterator[Finding]:
    """A codec that starts late starts before its phase or the run ends."""
    for part in _parts(scheme, "compression"):
        name = "warmup" if isinstance(part.term, Dgc) else "start"
        dense = getattr(part.term, name, 0)
        stop = scheme.train.steps
        ends = stop if part.stop is None else min(part.stop, stop)
        has_start = isinstance(part.term, OneBit | PowerSgd | Dgc)
        if has_start and dense and part.start < stop and part.start + dense >= ends:
            yield _never_starts(part, name, dense, ends)


def _never_starts(part: Part, name: str, dense: int, ends: int) -> Finding:
    by_run = part.stop is None or part.stop > ends
    return Finding(
        "D065",
        f"`{word_of(part.term)}` over `{part.axis}` never begins in full: "
        f"`{name} = {dense}` and its phase lasts {ends - part.start} steps",
        (*part.path, name),
        expected=f"less than {ends - part.start}",
        help=f"lower `{name}`",
        labels=((("train", "steps"), "the run's length"),) if by_run else (),
        severity="warning",
    )


def losses(scheme: Scheme) -> Iterator[Finding]:
    """A codec sends less than would cross without it."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for part in _parts(scheme, "compression"):
        size = sizes[part.axis]
        term = part.term
        if isinstance(term, TopK | Dgc) and size > 1 and term.density * size >= 1:
            yield _sends_more(part, term.density, size)
        if isinstance(term, Gradiveq) and term.keep == term.slice:
            yield Finding(
                "D068",
                f"`gradiveq` over `{part.axis}` keeps all {term.slice} coefficients of "
                "a vector: as many values cross as without it",
                (*part.path, "keep"),
                expected=f"less than {term.slice}",
                help="lower `keep`",
                severity="warning",
            )


def _sends_more(part: Part, density: float, size: int) -> Finding:
    word = word_of(part.term)
    return Finding(
        "D068",
        f"`{word}` over `{part.axis}` sends no less than `none` would: every member "
        f"receives the values and places of all {size}, which pays below a density of "
        f"1/{size}",
        (*part.path, "density"),
        expected=f"less than {shown(1 / size)}",
        help=f"lower `density` from {shown(density)}, or take `randomk`, whose values "
        "add up on the way",
        labels=((("mesh", part.axis), f"{size} members"),),
        severity="warning",
    )
