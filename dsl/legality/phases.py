"""Rules about time: which phase of one axis stands beside which of another."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise

from diamond.dsl.legality.finding import CLAUSES, Finding, Path, phase_path
from diamond.dsl.vocabulary.consistency import Local, Synchronous
from diamond.dsl.vocabulary.schedule import Phase, phases_of
from diamond.dsl.vocabulary.scheme import Replicas, Scheme


@dataclass(frozen=True, slots=True)
class Stretch:
    """A phase of an axis's consistency: what holds from which step to which."""

    axis: str
    path: Path
    rule: object
    start: int
    stop: int | None

    def overlaps(self, other: "Stretch") -> bool:
        """Whether the two have a step in common."""
        after = other.stop is not None and other.stop <= self.start
        before = self.stop is not None and self.stop <= other.start
        return not (after or before)

    def when(self) -> str:
        """Writes the steps of the phase."""
        if self.stop is None:
            return f"from step {self.start} on" if self.start else "at every step"
        return f"from step {self.start} to {self.stop - 1}"


def outermost_first(scheme: Scheme) -> list[Replicas]:
    """Returns the replica axes that are in the mesh, in the mesh's order."""
    order = {axis.name: place for place, axis in enumerate(scheme.mesh)}
    inside = [replicas for replicas in scheme.replicas if replicas.axis in order]
    return sorted(inside, key=lambda replicas: order[replicas.axis])


def stretches(replicas: Replicas) -> list[Stretch]:
    """Returns the phases of an axis's consistency, with their places."""
    laid: tuple[Phase[object], ...] = phases_of(replicas.consistency)
    return [
        Stretch(
            replicas.axis,
            phase_path(replicas, "consistency", index),
            phase.value,
            phase.start,
            phase.stop,
        )
        for index, phase in enumerate(laid)
    ]


def tight_inside_loose(scheme: Scheme) -> Iterator[Finding]:
    """An axis outside a loose one is loose too, at every step.

    Else gradients taken at different parameters would be averaged.
    """
    for outer, inner in combinations(outermost_first(scheme), 2):
        for tight in stretches(outer):
            for loose in stretches(inner):
                clash = isinstance(tight.rule, Synchronous) and tight.overlaps(loose)
                if clash and isinstance(loose.rule, Local):
                    yield _inside_out(tight, loose)


def _inside_out(tight: Stretch, loose: Stretch) -> Finding:
    return Finding(
        "D045",
        f"`{tight.axis}` is synchronous {tight.when()} while `{loose.axis}`, inside "
        f"it, is local {loose.when()}",
        tight.path,
        expected=f"`{tight.axis}` to be local wherever `{loose.axis}` is: gradients "
        "of copies that differ have no common average",
        help=f"swap the two axes in `mesh`, or make `{loose.axis}` synchronous",
        labels=((loose.path, f"`{loose.axis}` is local here"),),
    )


def tight_from_the_start(scheme: Scheme) -> Iterator[Finding]:
    """No axis turns synchronous after it was local.

    When the copies meet their parameters become equal, but each keeps the state of its
    own optimizer, and equal gradients would drive them apart again.
    """
    for replicas in outermost_first(scheme):
        for before, after in pairwise(stretches(replicas)):
            if isinstance(before.rule, Local) and isinstance(after.rule, Synchronous):
                yield _tight_again(before, after)


def _tight_again(before: Stretch, after: Stretch) -> Finding:
    return Finding(
        "D049",
        f"`{after.axis}` turns synchronous at step {after.start}, after `local`: its "
        "copies have met, but their optimizer states differ, so averaged gradients "
        "would not keep them equal",
        after.path,
        expected="`local`: averaging or resetting the states, `local(state = ...)`, is "
        "not in this release",
        help="write `local(every = 1, ...)`, or make `synchronous` the first phase",
        labels=((before.path, f"`{before.axis}` is local here"),),
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
