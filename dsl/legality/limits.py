"""Limits of size, without which the rules about pairs would take too long."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import CLAUSES, Finding, Path
from diamond.dsl.vocabulary.schedule import phases_of
from diamond.dsl.vocabulary.scheme import Scheme

MOST_AXES = 16
MOST_PHASES = 100


def sizes(scheme: Scheme) -> Iterator[Finding]:
    """A mesh has a few axes, and a schedule has a few phases."""
    for block in ("mesh", "replicas", "parallelism"):
        count = len(getattr(scheme, block))
        if count > MOST_AXES:
            what = f"{count} axes in `{block}`"
            yield _too_many(what, (block, _axis_of(scheme, block)), MOST_AXES)
    for replicas in scheme.replicas:
        for clause in CLAUSES:
            count = len(phases_of(getattr(replicas, clause)))
            if count > MOST_PHASES:
                path = ("replicas", replicas.axis, clause)
                yield _too_many(f"{count} phases of `{clause}`", path, MOST_PHASES)


def _axis_of(scheme: Scheme, block: str) -> str:
    """Returns the name of the first axis that is one too many."""
    extra = getattr(scheme, block)[MOST_AXES]
    return str(extra.name if block == "mesh" else extra.axis)


def _too_many(what: str, path: Path, most: int) -> Finding:
    return Finding("D037", f"too many: {what}", path, expected=f"at most {most}")
