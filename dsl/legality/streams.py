"""Rules about streaming: a layer for each fragment, and landings within the run."""

from collections.abc import Iterator, Sequence

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.legality.kinds import is_streaming
from diamond.dsl.legality.layers import layer_of, layers_of
from diamond.dsl.legality.phases import MANNER
from diamond.dsl.legality.timeline import (
    Part,
    all_segments,
    outermost_first,
    parts_of,
)
from diamond.dsl.suggest import listed
from diamond.dsl.vocabulary.consistency import Local
from diamond.dsl.vocabulary.scheme import Scheme

MOST_TRIED = 1000
MOST_NAMED = 8
Labels = tuple[tuple[Path, str], ...]


def fragments_fit(scheme: Scheme) -> Iterator[Finding]:
    """A built-in model has a layer for each fragment that it is exchanged in."""
    if scheme.model is None:
        return
    name, num, what = layers_of(scheme.model)
    labels: Labels = ((("model", name), f"{num} layers to cut at: {what}"),)
    for part, term in _locals(scheme):
        if term.fragments > num:
            help = f"{_fewer(term, num)}, or raise `{name}` of `model`"
            yield _too_many(part, term, num, help, labels)


def layers_suffice(scheme: Scheme, paths: Sequence[str]) -> Iterator[Finding]:
    """A model whose tensors have these paths has a layer for each fragment."""
    layers = tuple(dict.fromkeys(map(layer_of, paths)))
    named = listed(layers[:MOST_NAMED], last="and")
    if len(layers) > MOST_NAMED:
        named += f", {len(layers) - MOST_NAMED} more"
    for part, term in _locals(scheme):
        if term.fragments > len(layers):
            help = f"{_fewer(term, len(layers))}; its layers are {named}"
            yield _too_many(part, term, len(layers), help, ())


def _locals(scheme: Scheme) -> Iterator[tuple[Part, Local]]:
    for replicas in outermost_first(scheme):
        for part in parts_of(replicas, "consistency"):
            if isinstance(part.term, Local):
                yield part, part.term


def _too_many(part: Part, term: Local, num: int, help: str, labels: Labels) -> Finding:
    layers = "1 layer" if num == 1 else f"{num} layers"
    return Finding(
        "D087",
        f"`fragments = {term.fragments}` over `{part.axis}`, but the model has "
        f"{layers} to cut it at",
        (*part.path, "fragments"),
        expected=f"at most {num}",
        help=help,
        labels=labels,
    )


def _fewer(term: Local, num: int) -> str:
    """Says which number of fragments would do: one that divides the period."""
    tried = range(min(num, term.every, MOST_TRIED), 0, -1)
    fits = next(parts for parts in tried if term.every % parts == 0)
    return f"write `fragments = {fits}`"


def end_of_run(scheme: Scheme) -> Iterator[Finding]:
    """What streams lands before the run ends, and does so at its last step.

    Fragment p of P is sent p/P of the period after the phase begins, and lands `delay`
    steps later.
    """
    steps = scheme.train.steps
    for segment in all_segments(scheme, *MANNER):
        rule = segment.parts[1]
        over = segment.stop is not None and segment.stop <= steps
        if over or segment.start >= steps or not is_streaming(rule.term):
            continue
        assert isinstance(rule.term, Local)
        yield from _ends(rule, rule.term, steps)


def _ends(part: Part, term: Local, steps: int) -> Iterator[Finding]:
    turn = term.every // term.fragments
    if term.every % term.fragments or term.delay >= turn:
        return  # an error of its own
    left = steps - part.start
    if left < term.every + term.delay:
        yield _never_merged(part, term, steps)
    elif left % turn != term.delay and term.merge < 1:
        yield _cut_off(part, term, steps)


def _never_merged(part: Part, term: Local, steps: int) -> Finding:
    turn, left = term.every // term.fragments, steps - part.start
    landed = max(0, (left - term.delay) // turn)
    if landed:
        who = f"{term.fragments - landed} of {term.fragments} fragments of the model"
        what = f"{who} never meet over `{part.axis}`: the last one's first exchange"
    else:
        what = f"the copies over `{part.axis}` never meet: the first exchange"
    lands = (term.every if landed else turn) + term.delay
    return Finding(
        "D062",
        f"{what} lands {lands} steps after `local` begins, of which {left} are left",
        (*part.path, "every"),
        expected=f"`steps` of `train` at least {part.start + term.every + term.delay}",
        help="raise `steps` of `train`, or lower `every`",
        labels=((("train", "steps"), "the run's length"),),
        severity="warning",
    )


def _cut_off(part: Part, term: Local, steps: int) -> Finding:
    turn = term.every // term.fragments
    since = (steps - part.start) % turn  # steps after the last sending
    lost = since < term.delay
    good = steps - since + term.delay - (turn if lost else 0)
    if lost:
        number = ((steps - part.start) // turn - 1) % term.fragments + 1
        one = f"fragment {number} of {term.fragments}" if term.fragments > 1 else "it"
        message = (
            f"the last exchange over `{part.axis}` is lost: {one} is sent at step "
            f"{steps - since - 1} and would land {term.delay} steps later, but the run "
            f"ends after step {steps - 1}"
        )
    else:
        message = (
            f"the last {since - term.delay} of {steps} steps are not exchanged over "
            f"`{part.axis}`: the copies end apart in all fragments, and evaluation "
            "uses their average"
        )
    return Finding(
        "D063",
        message,
        ("train", "steps"),
        expected=f"`steps = {good}` or `steps = {good + turn}`",
        labels=(((*part.path, "every"), _turns(term, turn)),),
        severity="warning",
    )


def _turns(term: Local, turn: int) -> str:
    lands = f", landing {term.delay} later" if term.delay else ""
    if term.fragments == 1:
        return f"they meet every {turn} steps{lands}"
    return f"a fragment takes its turn every {turn} steps{lands}"
