"""Rules between the arguments of one term, and about streaming, which stands alone."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.kinds import is_loose, is_streaming, manner
from diamond.dsl.legality.phases import MANNER, manner_path
from diamond.dsl.legality.timeline import Part, all_segments, outermost_first, parts_of
from diamond.dsl.vocabulary.centralization import AllReduce, Gossip
from diamond.dsl.vocabulary.compression import Gradiveq, OneBit
from diamond.dsl.vocabulary.consistency import Local
from diamond.dsl.vocabulary.scheme import Scheme

STREAMING = {"fragments": 1, "delay": 0, "merge": 0.0}


def fit(scheme: Scheme) -> Iterator[Finding]:
    """Arguments of one term fit each other."""
    for replicas in outermost_first(scheme):
        for clause in (*MANNER, "compression"):
            for part in parts_of(replicas, clause):
                yield from _fit(part)


def _fit(part: Part) -> Iterator[Finding]:
    match part.term:
        case AllReduce():
            yield from _pattern(part, part.term)
        case Gossip(topology="chain", push_sum=False):
            yield _unweighted(part)
        case Local():
            yield from _fragments(part, part.term)
        case Gradiveq(slice=slice, keep=keep) if keep > slice:
            yield Finding(
                "D058",
                f"`keep = {keep}` is more than `slice = {slice}`: a vector has no more "
                "coefficients than values",
                (*part.path, "keep"),
                expected=f"at most {slice}",
                help="lower `keep`, or raise `slice`",
                labels=(((*part.path, "slice"), "values a vector"),),
            )
        case OneBit(start=0):
            yield Finding(
                "D058",
                "`onebit` freezes Adam's second moment, and with `start = 0` there is "
                "none yet",
                (*part.path, "start"),
                expected="at least 1, such as a fifth of the run's steps",
                help="let plain Adam take some steps first",
            )


def _pattern(part: Part, term: AllReduce) -> Iterator[Finding]:
    if term.reduce != "mean" and term.algorithm != "auto":
        yield Finding(
            "D058",
            f"`algorithm = {term.algorithm}` does not go with `reduce = "
            f"{term.reduce}`, which has a pattern of messages of its own",
            (*part.path, "algorithm"),
            expected="`auto`, the default",
            help="leave `algorithm` out",
            labels=(((*part.path, "reduce"), f"`{term.reduce}` here"),),
        )


def _unweighted(part: Part) -> Finding:
    return Finding(
        "D058",
        "`topology = chain` needs `push_sum = true`: the ends of a line have fewer "
        "neighbours, so that without weights the copies do not tend to their mean",
        (*part.path, "topology"),
        expected="`gossip(topology = chain, push_sum = true)`",
        help="add `push_sum = true`, or take `topology = ring`",
    )


def _fragments(part: Part, term: Local) -> Iterator[Finding]:
    every, fragments = term.every, term.fragments
    at_every: tuple[tuple[Path, str], ...] = (
        ((*part.path, "every"), f"they meet every {every} steps"),
    )
    if every % fragments:
        yield Finding(
            "D058",
            f"`fragments = {fragments}` does not divide `every = {every}`, so the "
            "fragments cannot take turns at equal distances",
            (*part.path, "fragments"),
            expected=f"`every` a multiple of {fragments}, such as "
            f"{near_multiples(every, fragments)}",
            help="change one of the two",
            labels=at_every,
        )
    elif term.delay >= every // fragments:
        turns = f"every {every // fragments} steps"
        yield Finding(
            "D058",
            f"`delay = {term.delay}` is no less than the distance of two exchanges, "
            f"{turns}: a fragment must arrive before the next one is sent",
            (*part.path, "delay"),
            expected=f"at most {every // fragments - 1}",
            help="lower `delay`, or raise `every`",
            labels=at_every,
        )


def streaming_alone(scheme: Scheme) -> Iterator[Finding]:
    """Where a model streams, nothing else is loose, and optimizer states are kept."""
    loose = [
        segment
        for segment in all_segments(scheme, *MANNER)
        if is_loose(*(part.term for part in segment.parts))
    ]
    for segment in loose:
        rule = segment.parts[1]
        if not (isinstance(rule.term, Local) and is_streaming(rule.term)):
            continue
        if rule.term.state != "keep":
            yield _state(rule, rule.term)
        other = next((one for one in loose if one.axis != rule.axis), None)
        if other is not None:
            what = manner(*(part.term for part in other.parts))
            label = (manner_path(other), f"`{other.axis}` is `{what}` here")
            yield Finding(
                "D083",
                f"the model streams over `{rule.axis}`, and `{other.axis}` is "
                f"`{what}`: copies that are never equal as a whole have no step at "
                "which another axis could meet",
                _streams(rule, rule.term),
                expected="no other axis that is loose",
                help="leave `fragments`, `delay` and `merge` out, or make "
                f"`{other.axis}` synchronous",
                labels=(label,),
            )


def _streams(rule: Part, term: Local) -> Path:
    names = (n for n, plain in STREAMING.items() if getattr(term, n) != plain)
    return (*rule.path, next(names))


def _state(rule: Part, term: Local) -> Finding:
    return Finding(
        "D058",
        f"`state = {term.state}` of `local` over `{rule.axis}` does not go with a "
        "model that is exchanged in parts or late: there is no step at which all of it "
        "meets",
        (*rule.path, "state"),
        expected="`keep`, the default",
        help="leave `state` out, or leave `fragments`, `delay` and `merge` out",
        labels=((_streams(rule, term), "streams here"),),
    )
