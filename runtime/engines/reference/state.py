"""What the reference engine remembers between steps.

Members are numbered row-major over the replica axes, the outermost axis slowest.
Whatever belongs to a member stands in a tuple with one entry a member. Whatever
belongs to a phase of an axis has a place of its own from the start, so the
structure never changes over a run: a phase that has not begun holds what it would
begin with if it began at once.
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Vector = NDArray[Any]
Tree = dict[str, Any]
OfMembers = tuple[Any, ...]


class ReferenceState(NamedTuple):
    """Everything that a step reads and writes; a step makes a new one.

    What a rule, a codec or push-sum remembers for a member is a named tuple that is
    declared beside it, or None where it remembers nothing. The phases of `rules` are
    those of the axis's consistency; the phases of `codecs` and `push_sums` are the
    axis's clauses, of which the first that share a codec's memory holds it. A clause
    has one part, or one a fragment of the model.
    """

    step: int  # steps taken so far
    params: tuple[Tree, ...]  # [members]: x_i, nested dicts of arrays
    optimizer: OfMembers  # [members]: the optax state
    rules: tuple[tuple[OfMembers, ...], ...]  # [axes][phases][members]
    codecs: tuple[tuple[tuple[OfMembers, ...], ...], ...]  # [axes][phases][parts][mem.]
    push_sums: tuple[tuple[OfMembers, ...], ...]  # [axes][phases][members]
    scattered: OfMembers = ()  # [members]: lost on the way to the owners of shards
