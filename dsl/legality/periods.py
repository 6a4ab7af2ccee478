"""Rules about the periods of local axes: they nest, and phases end at a meeting."""

from collections.abc import Iterator
from itertools import combinations

from diamond.dsl.legality.finding import Finding, near_multiples
from diamond.dsl.legality.phases import Stretch, outermost_first, stretches
from diamond.dsl.vocabulary.consistency import Average, Local
from diamond.dsl.vocabulary.scheme import Scheme


def nested(scheme: Scheme) -> Iterator[Finding]:
    """Where an outer local axis meets, the local axes inside it meet too."""
    for outer, inner in combinations(outermost_first(scheme), 2):
        for wide in stretches(outer):
            for narrow in stretches(inner):
                if wide.overlaps(narrow):
                    yield from _nest(wide, narrow)


def _nest(wide: Stretch, narrow: Stretch) -> Iterator[Finding]:
    if not (isinstance(wide.rule, Local) and isinstance(narrow.rule, Local)):
        return
    outer, inner = wide.rule.every, narrow.rule.every
    if outer % inner:
        yield Finding(
            "D046",
            f"`every = {outer}` over `{wide.axis}` is no multiple of "
            f"`every = {inner}` over `{narrow.axis}`, inside it",
            (*wide.path, "every"),
            expected=f"a multiple of {inner}, such as {near_multiples(outer, inner)}",
            help=f"copies over `{narrow.axis}` must have met when those over "
            f"`{wide.axis}` meet",
            labels=(((*narrow.path, "every"), "the period inside it"),),
        )
    elif (wide.start - narrow.start) % inner:
        yield _out_of_step(wide, narrow, inner)


def _out_of_step(wide: Stretch, narrow: Stretch, inner: int) -> Finding:
    apart = near_multiples(abs(wide.start - narrow.start), inner)
    return Finding(
        "D047",
        f"`local` over `{wide.axis}` starts at step {wide.start}, and over "
        f"`{narrow.axis}`, inside it, at step {narrow.start}, meeting every {inner} "
        "steps: the two never meet together",
        wide.path,
        expected=f"starts that lie a multiple of {inner} steps apart, such as {apart}",
        help="change the length of a phase before one of the two",
        labels=((narrow.path, f"`{narrow.axis}` is local here"),),
    )


def _local(scheme: Scheme) -> Iterator[tuple[Stretch, Local]]:
    for replicas in outermost_first(scheme):
        for stretch in stretches(replicas):
            if isinstance(stretch.rule, Local):
                yield stretch, stretch.rule


def phase_lengths(scheme: Scheme) -> Iterator[Finding]:
    """A local phase that another one follows ends with a meeting."""
    for stretch, rule in _local(scheme):
        if stretch.stop is None:
            continue
        length, every = stretch.stop - stretch.start, rule.every
        if length % every:
            near = near_multiples(length, every)
            yield Finding(
                "D048",
                f"a `local` phase over `{stretch.axis}` lasts {length} steps, which "
                f"is no multiple of its `every = {every}`",
                stretch.path,
                expected=f"a multiple of {every}, such as {near}",
                help="the phase must end with a meeting, or the copies would differ",
            )


def end_of_run(scheme: Scheme) -> Iterator[Finding]:
    """The run ends with a meeting of every local axis."""
    steps = scheme.train.steps
    for stretch, rule in _local(scheme):
        ends_before = stretch.stop is not None and stretch.stop <= steps
        left = steps - stretch.start
        if left <= 0 or ends_before or not left % rule.every:
            continue
        if rule.every > left:
            yield _never_meet(stretch, rule, left)
        else:
            yield _apart_at_end(stretch, rule, steps)


def _never_meet(stretch: Stretch, rule: Local, left: int) -> Finding:
    return Finding(
        "D062",
        f"the copies over `{stretch.axis}` never meet: `every = {rule.every}` is "
        f"more than the {left} steps that are left",
        (*stretch.path, "every"),
        expected=f"at most {left}",
        help="lower `every`, or raise `steps` of `train`",
        labels=((("train", "steps"), "the run's length"),),
        severity="warning",
    )


def _apart_at_end(stretch: Stretch, rule: Local, steps: int) -> Finding:
    alone = (steps - stretch.start) % rule.every
    return Finding(
        "D063",
        f"the last {alone} of {steps} steps are not exchanged over "
        f"`{stretch.axis}`: the copies end apart, and evaluation uses their average",
        ("train", "steps"),
        expected=f"`steps = {steps - alone}` or `steps = {steps - alone + rule.every}`",
        labels=(((*stretch.path, "every"), f"they meet every {rule.every} steps"),),
        severity="warning",
    )


def every_step(scheme: Scheme) -> Iterator[Finding]:
    """A local axis that averages at every step is a synchronous one, nearly."""
    for stretch, rule in _local(scheme):
        if rule.every == 1 and rule.outer == Average():
            yield Finding(
                "D064",
                f"`local(every = 1)` averages the parameters over `{stretch.axis}` "
                "after every step",
                stretch.path,
                help="with `sgd` this equals `synchronous`; with an optimizer that "
                "has state, each copy keeps its own",
                severity="warning",
            )
