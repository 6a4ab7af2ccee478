"""Rules about time: which phase of one axis stands beside which of another."""

from collections.abc import Iterator
from itertools import pairwise

from diamond.dsl.legality.finding import CLAUSES, Finding, Path, phase_path
from diamond.dsl.legality.kinds import (
    GRADIENT_RULES,
    VERSIONED,
    exchanges_gradients,
    is_loose,
    manner,
)
from diamond.dsl.legality.timeline import (
    Part,
    Segment,
    outermost_first,
    parts_of,
    together,
)
from diamond.dsl.vocabulary.centralization import Gossip
from diamond.dsl.vocabulary.consistency import Local, StaleSynchronous
from diamond.dsl.vocabulary.schedule import phases_of
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of

MANNER = ("centralization", "consistency")


def tight_inside_loose(scheme: Scheme) -> Iterator[Finding]:
    """An axis outside a loose one exchanges no gradients, at any step.

    Else gradients taken at different parameters would be averaged.
    """
    for outer, inner in together(scheme, *MANNER):
        if exchanges_gradients(*_terms(outer)) and is_loose(*_terms(inner)):
            yield _inside_out(outer, inner)


def _terms(segment: Segment) -> tuple[object, ...]:
    return tuple(part.term for part in segment.parts)


def manner_path(segment: Segment) -> Path:
    """Returns the place of what makes an axis loose or tight."""
    center, rule = segment.parts
    return center.path if isinstance(center.term, Gossip) else rule.path


def _inside_out(tight: Segment, loose: Segment) -> Finding:
    outside, inside = manner(*_terms(tight)), manner(*_terms(loose))
    return Finding(
        "D045",
        f"`{tight.axis}` is `{outside}` {tight.when()} while `{loose.axis}`, inside "
        f"it, is `{inside}` {loose.when()}",
        manner_path(tight),
        expected=f"`{tight.axis}` to exchange parameters wherever `{loose.axis}` is "
        "loose: gradients of copies that differ have no common average",
        help=f"swap the two axes in `mesh`, or make `{loose.axis}` synchronous",
        labels=((manner_path(loose), f"`{loose.axis}` is `{inside}` here"),),
    )


def tight_from_the_start(scheme: Scheme) -> Iterator[Finding]:
    """No axis exchanges gradients after it was local, if optimizer states were kept.

    When the copies meet their parameters become equal, but each keeps the state of its
    own optimizer, and equal gradients would drive them apart again.
    """
    for replicas in outermost_first(scheme):
        for before, after in pairwise(parts_of(replicas, "consistency")):
            apart = isinstance(before.term, Local) and before.term.state == "keep"
            tight = isinstance(after.term, GRADIENT_RULES)
            if apart and tight and not isinstance(after.term, StaleSynchronous):
                yield _tight_again(before, after)


def _tight_again(before: Part, after: Part) -> Finding:
    word = word_of(after.term)
    return Finding(
        "D049",
        f"`{after.axis}` turns `{word}` at step {after.start}, after `local`: its "
        "copies have met, but their optimizer states differ, so averaged gradients "
        "would not keep them equal",
        after.path,
        expected="`local` before it with `state = average` or `state = reset`, or "
        "`local` here",
        help=f"write `local(..., state = average)` before it, or make `{word}` the "
        "first phase",
        labels=((before.path, f"`{before.axis}` is local here"),),
    )


def one_with_versions(scheme: Scheme) -> Iterator[Finding]:
    """One axis at most takes gradients at parameters that are some steps old."""
    first: Part | None = None
    for replicas in outermost_first(scheme):
        laid = parts_of(replicas, "consistency")
        versioned = [part for part in laid if isinstance(part.term, VERSIONED)]
        if first is not None and versioned:
            yield _second_clock(first, versioned[0])
        first = first or next(iter(versioned), None)


def _second_clock(first: Part, second: Part) -> Finding:
    return Finding(
        "D082",
        f"`{second.axis}` is `{word_of(second.term)}`, and `{first.axis}` is "
        f"`{word_of(first.term)}`",
        second.path,
        expected="one axis at most that is `asynchronous` or `hogwild`",
        help="a copy has one age at a time, so two axes cannot both set it; make one "
        "of the two `synchronous` or `pipelined`",
        labels=((first.path, f"`{first.axis}` has versions here"),),
    )


def reached(scheme: Scheme) -> Iterator[Finding]:
    """Every phase of a schedule begins before the run ends."""
    steps = scheme.train.steps
    for replicas in scheme.replicas:
        for clause in CLAUSES:
            for index, phase in enumerate(phases_of(getattr(replicas, clause))):
                if phase.start >= steps:
                    path = phase_path(replicas, clause, index)
                    yield _unreached(path, phase.start, steps)


def _unreached(path: Path, start: int, steps: int) -> Finding:
    return Finding(
        "D065",
        f"this phase would begin at step {start}, but the run has {steps} steps",
        path,
        expected=f"a phase that begins before step {steps}",
        help="shorten the phases before it, or raise `steps` of `train`",
        labels=((("train", "steps"), "the run's length"),),
        severity="warning",
    )
