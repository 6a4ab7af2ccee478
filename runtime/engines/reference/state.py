"""What the reference engine remembers between steps.

Members are numbered row-major over the replica axes, the outermost axis slowest.
Whatever belongs to a member stands in a tuple with one entry a member. Whatever
belongs to a phase of an axis has a place of its own from the start, so the
structure never changes over a run: a phase that has not begun holds its zeros.
"""

from typing import Any, NamedTuple

from numpy.typing import NDArray

Vector = NDArray[Any]
Tree = dict[str, Any]


class Residual(NamedTuple):
    """What the roundings of one member have lost so far over one axis.

    Both are None without feedback; nobody serves where encodings are gathered.
    """

    worker: Vector | None  # [padded length]: e_i, lost by what the member sends
    server: Vector | None  # [padded length / N]: s_j, lost by the chunk it averages


class Rule(NamedTuple):
    """What a `local` phase of one axis remembers."""

    anchor: tuple[Vector, ...]  # [members][parameters]: where the copies last met
    momentum: tuple[Vector, ...]  # [members][parameters]: b of the outer Nesterov


class ReferenceState(NamedTuple):
    """Everything that a step reads and writes; a step makes a new one."""

    step: int  # steps taken so far
    params: tuple[Tree, ...]  # [members]: x_i, nested dicts of arrays
    optimizer: tuple[Any, ...]  # [members]: the optax state
    rules: tuple[tuple[Rule | None, ...], ...]  # [axes][phases of consistency]
    residuals: tuple[tuple[tuple[Residual, ...], ...], ...]  # [axes][phases][members]
