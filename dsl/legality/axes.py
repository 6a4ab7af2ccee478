"""Rules about the axes of the mesh: each is known, and each has one role."""

from collections import Counter
from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path
from diamond.dsl.suggest import did_you_mean, listed
from diamond.dsl.vocabulary.parallelism import Ensemble
from diamond.dsl.vocabulary.scheme import Axis, Scheme


def declared_once(scheme: Scheme) -> Iterator[Finding]:
    """No axis, and no role of an axis, is declared twice."""
    groups = {
        "mesh": [axis.name for axis in scheme.mesh],
        "replicas": [replicas.axis for replicas in scheme.replicas],
        "parallelism": [parallel.axis for parallel in scheme.parallelism],
        "hardware": [link.axis for link in scheme.hardware],
    }
    for block, names in groups.items():
        for name in [name for name, count in Counter(names).items() if count > 1]:
            message = f"axis `{name}` stands twice in `{block}`"
            yield Finding("D026", message, (block, name), help="keep one of the two")


def known(scheme: Scheme) -> Iterator[Finding]:
    """Every axis that something is laid over stands in the mesh."""
    names = [axis.name for axis in scheme.mesh]
    for block, axis in _laid(scheme):
        if axis not in names:
            yield _unknown(block, axis, names)


def _laid(scheme: Scheme) -> Iterator[tuple[str, str]]:
    for replicas in scheme.replicas:
        yield "replicas", replicas.axis
    for parallel in scheme.parallelism:
        yield "parallelism", parallel.axis
    for link in scheme.hardware:
        yield "hardware", link.axis


def _unknown(block: str, axis: str, names: list[str]) -> Finding:
    useless = block == "hardware"
    return Finding(
        "D043" if useless else "D040",
        f"there is no axis `{axis}` in the mesh"
        + (", so its link has no effect" if useless else ""),
        (block, axis),
        expected=listed(names) or "an axis that `mesh` declares",
        help=did_you_mean(axis, names) or f"add `{axis} = ...` to `mesh`",
        needs=(("mesh",),),
        severity="warning" if useless else "error",
    )


def one_role(scheme: Scheme) -> Iterator[Finding]:
    """No axis holds replicas and shards, or members, at once."""
    copied = {replicas.axis for replicas in scheme.replicas}
    for parallel in scheme.parallelism:
        if parallel.axis in copied:
            other = (("replicas", parallel.axis), "replicas over it here")
            is_apart = isinstance(parallel.strategy, Ensemble)
            what = "members of an ensemble" if is_apart else "shards"
            yield Finding(
                "D041",
                f"axis `{parallel.axis}` has two roles, replicas and {what}",
                ("parallelism", parallel.axis),
                help="split it into two axes of `mesh`, one for each role",
                labels=(other,),
            )


def some_role(scheme: Scheme) -> Iterator[Finding]:
    """Every axis of more than one member has a role.

    Silent where an unknown axis has a role: that is then this one, misspelt.
    """
    names = {axis.name for axis in scheme.mesh}
    roles = {axis for block, axis in _laid(scheme) if block != "hardware"}
    if not roles <= names:
        return
    for axis in scheme.mesh:
        if axis.size > 1 and axis.name not in roles:
            yield _idle(axis)


def _idle(axis: Axis) -> Finding:
    path: Path = ("mesh", axis.name)
    return Finding(
        "D042",
        f"axis `{axis.name}` of size {axis.size} has no role",
        path,
        expected="a role for each axis of more than one member",
        help=f"add `replicas over {axis.name} {{ }}`, or a strategy over it in "
        "`parallelism`",
        needs=(("replicas", axis.name), ("parallelism", axis.name)),
    )


def links_used(scheme: Scheme) -> Iterator[Finding]:
    """A link is that of an axis which something crosses."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for link in scheme.hardware:
        if sizes.get(link.axis) == 1:
            yield Finding(
                "D043",
                f"the link of axis `{link.axis}` has no effect: nothing crosses an "
                "axis of size 1",
                ("hardware", link.axis),
                help="remove the link, or make the axis larger",
                labels=((("mesh", link.axis), "its size"),),
                severity="warning",
            )
