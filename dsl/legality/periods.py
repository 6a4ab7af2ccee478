"""Rules about the periods of loose axes: they nest, and phases end at a meeting."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.kinds import is_streaming, manner, period_of
from diamond.dsl.legality.phases import MANNER, manner_path
from diamond.dsl.legality.timeline import (
    Part,
    Segment,
    all_segments,
    outermost_first,
    parts_of,
    together,
)
from diamond.dsl.vocabulary.centralization import Gossip
from diamond.dsl.vocabulary.consistency import Elastic, Local
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of


def nested(scheme: Scheme) -> Iterator[Finding]:
    """Where an outer axis exchanges parameters, the axes inside it do too."""
    found = (_nest(wide, narrow) for wide, narrow in together(scheme, *MANNER))
    yield from dict.fromkeys(one for one in found if one)


def _nest(wide: Segment, narrow: Segment) -> Finding | None:
    outer, inner = _period(wide), _period(narrow)
    if outer is None or inner is None:
        return None
    if outer % inner:
        return _not_nested(wide, outer, narrow, inner)
    if (wide.parts[1].start - narrow.parts[1].start) % inner:
        return _out_of_step(wide, narrow, inner)
    return None


def _period(segment: Segment) -> int | None:
    return period_of(*(part.term for part in segment.parts))


def _every(segment: Segment) -> Path:
    """Returns the place of the period; a gossip at every step has none to name."""
    rule = segment.parts[1]
    named = isinstance(rule.term, Local | Elastic)
    return (*rule.path, "every") if named else manner_path(segment)


def _said(segment: Segment, period: int) -> str:
    rule = segment.parts[1].term
    if isinstance(rule, Local | Elastic):
        return f"`every = {period}` over `{segment.axis}`"
    return f"`gossip` at every step over `{segment.axis}`"


def _not_nested(wide: Segment, outer: int, narrow: Segment, inner: int) -> Finding:
    return Finding(
        "D046",
        f"{_said(wide, outer)} is no multiple of {_said(narrow, inner)}, inside it",
        _every(wide),
        expected=f"a multiple of {inner}, such as {near_multiples(outer, inner)}",
        help=f"copies over `{narrow.axis}` must have met when those over "
        f"`{wide.axis}` meet" + _slower(wide, inner),
        labels=((_every(narrow), "the period inside it"),),
    )


def _slower(wide: Segment, inner: int) -> str:
    """Says how a gossip is made to wait, which has no period of its own."""
    if isinstance(wide.parts[1].term, Local | Elastic):
        return ""
    return f": write `consistency = local(every = {inner})` over `{wide.axis}`"


def _out_of_step(wide: Segment, narrow: Segment, inner: int) -> Finding:
    outside, inside = (manner(*(p.term for p in one.parts)) for one in (wide, narrow))
    starts = [one.parts[1].start for one in (wide, narrow)]
    apart = near_multiples(abs(starts[0] - starts[1]), inner)
    return Finding(
        "D047",
        f"`{outside}` over `{wide.axis}` starts at step {starts[0]}, and `{inside}` "
        f"over `{narrow.axis}`, inside it, at step {starts[1]}, meeting every {inner} "
        "steps: the two never meet together",
        manner_path(wide),
        expected=f"starts that lie a multiple of {inner} steps apart, such as {apart}",
        help="change the length of a phase before one of the two",
        labels=((manner_path(narrow), f"`{narrow.axis}` is `{inside}` here"),),
    )


def averages(scheme: Scheme) -> Iterator[Finding]:
    """No axis averages states of optimizers that one inside has just begun afresh."""
    found = (_average(wide, narrow) for wide, narrow in together(scheme, *MANNER))
    yield from dict.fromkeys(one for one in found if one)


def _average(wide: Segment, narrow: Segment) -> Finding | None:
    outer, inner = wide.parts[1], narrow.parts[1]
    states = [getattr(part.term, "state", None) for part in (outer, inner)]
    if states != ["average", "reset"]:
        return None
    return Finding(
        "D089",
        f"`state = average` over `{wide.axis}` has nothing to average: whenever its "
        f"copies meet, those over `{narrow.axis}`, inside it, have just begun the "
        "optimizer's state afresh",
        (*outer.path, "state"),
        expected="`state = keep`, or `state = average` over both axes",
        help=f"change `state` over `{wide.axis}` or over `{narrow.axis}`",
        labels=(((*inner.path, "state"), "begun afresh here"),),
    )


def _local(scheme: Scheme) -> Iterator[tuple[Part, Local]]:
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "consistency"):
            if isinstance(part.term, Local):
                yield part, part.term


def phase_lengths(scheme: Scheme) -> Iterator[Finding]:
    """A local phase that another one follows ends with a meeting."""
    for part, rule in _local(scheme):
        if part.stop is None:
            continue
        length, every = part.stop - part.start, rule.every
        if length % every:
            near = near_multiples(length, every)
            yield Finding(
                "D048",
                f"a `local` phase over `{part.axis}` lasts {length} steps, which "
                f"is no multiple of its `every = {every}`",
                part.path,
                expected=f"a multiple of {every}, such as {near}",
                help="the phase must end with a meeting, or the copies would differ",
            )


def end_of_run(scheme: Scheme) -> Iterator[Finding]:
    """The run ends with a meeting of every axis that has meetings.

    Of a model that is exchanged in parts or late, `streams` says when that is.
    """
    steps = scheme.train.steps
    for segment in all_segments(scheme, *MANNER):
        center, rule = segment.parts
        if not isinstance(rule.term, Local | Elastic) or is_streaming(rule.term):
            continue
        ends_before = segment.stop is not None and segment.stop <= steps
        left = steps - rule.start
        if segment.start >= steps or ends_before or not left % rule.term.every:
            continue
        if rule.term.every > left:
            yield _never_meet(rule, rule.term.every, left)
        elif isinstance(rule.term, Local) and not isinstance(center.term, Gossip):
            yield _apart_at_end(rule, rule.term, steps)


def _never_meet(part: Part, every: int, left: int) -> Finding:
    return Finding(
        "D062",
        f"the copies over `{part.axis}` never meet: `every = {every}` is "
        f"more than the {left} steps that are left",
        (*part.path, "every"),
        expected=f"at most {left}",
        help="lower `every`, or raise `steps` of `train`",
        labels=((("train", "steps"), "the run's length"),),
        severity="warning",
    )


def _apart_at_end(part: Part, rule: Local, steps: int) -> Finding:
    alone = (steps - part.start) % rule.every
    return Finding(
        "D063",
        f"the last {alone} of {steps} steps are not exchanged over "
        f"`{part.axis}`: the copies end apart, and evaluation uses their average",
        ("train", "steps"),
        expected=f"`steps = {steps - alone}` or `steps = {steps - alone + rule.every}`",
        labels=(((*part.path, "every"), f"they meet every {rule.every} steps"),),
        severity="warning",
    )


def every_step(scheme: Scheme) -> Iterator[Finding]:
    """A local axis that averages at every step is a synchronous one, nearly."""
    for segment in all_segments(scheme, *MANNER):
        center, rule = segment.parts
        plain = isinstance(rule.term, Local) and rule.term == Local(every=1)
        if plain and not isinstance(center.term, Gossip):
            yield Finding(
                "D064",
                f"`{word_of(rule.term)}(every = 1)` averages the parameters over "
                f"`{rule.axis}` after every step",
                rule.path,
                help="with `sgd` this equals `synchronous`; with an optimizer that "
                "has state, each copy keeps its own",
                severity="warning",
            )
