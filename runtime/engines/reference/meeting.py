"""A meeting: the members along one axis bring their values together.

Whatever is exchanged is a list of leaves, in tree order and with their own shapes;
what all members bring is a list with one such list a member. Sums are taken in the
order of the members, in the type of the values, and a mean multiplies by 1/N.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.noise import Use

Array = NDArray[Any]
Leaves = list[Array]


@dataclass(frozen=True, slots=True)
class Meeting:
    """What all members know about an exchange.

    Attributes:
        axis: Name of the axis whose members meet.
        paths: One path a leaf, its keys joined by "/".
        count: Exchanges of this phase that were done before.
        decay: b1 of the scheme's Adam, which `onebit` needs; None otherwise.
        seed: The seed of the run.
        outside: Place of those who meet along the axes outside.
    """

    axis: str
    paths: tuple[str, ...]
    count: int
    decay: float | None = None
    seed: int = 0
    outside: int = 0

    def seed_of(self, use: Use) -> int:
        """Returns the seed of what is drawn here for a use."""
        return noise.seed_of(use, self.axis, self.seed, self.outside)


def average(values: Sequence[Array]) -> Array:
    """Returns sum_i v_i (1/N): scaled first, so that a sum of large ones is finite.

    Example:
        >>> average([np.array([1.0, 2.0]), np.array([3.0, 6.0])])
        array([2., 4.])
    """
    return total_of([value * (1 / len(values)) for value in values])


def average_decoded(values: Sequence[Array]) -> Array:
    """Returns (sum_i v_i) (1/N), the mean of values that were decoded.

    Example:
        >>> average_decoded([np.array([1.0, 2.0]), np.array([3.0, 6.0])])
        array([2., 4.])
    """
    return np.asarray(total_of(values) * (1 / len(values)))


def total_of(values: Sequence[Array]) -> Array:
    """Adds arrays in the order of the members."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return np.asarray(total)
