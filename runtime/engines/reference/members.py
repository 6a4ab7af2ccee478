"""Members: one copy of the model for each place in the grid of replica axes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def groups(sizes: tuple[int, ...], axis: int) -> tuple[tuple[int, ...], ...]:
    """Lists the members that meet over one axis: those that differ there alone.

    Members are numbered row-major, the outermost axis slowest.

    Example:
        >>> groups((2, 3), axis=0)
        ((0, 3), (1, 4), (2, 5))
        >>> groups((2, 3), axis=1)
        ((0, 1, 2), (3, 4, 5))
    """
    numbers = np.arange(np.prod(sizes, dtype=int)).reshape(sizes)
    rows = np.moveaxis(numbers, axis, -1).reshape(-1, sizes[axis])
    return tuple(tuple(row) for row in rows.tolist())


def shares(batch: Mapping[str, Any], num_members: int) -> list[dict[str, NDArray[Any]]]:
    """Cuts a batch along its examples into one contiguous equal share a member.

    Raises:
        ValueError: If the examples do not divide by the members.

    Example:
        >>> shares({"x": np.arange(4)}, 2)
        [{'x': array([0, 1])}, {'x': array([2, 3])}]
    """
    cut: list[dict[str, NDArray[Any]]] = [{} for _ in range(num_members)]
    for name, value in batch.items():
        examples = np.asarray(value)
        if len(examples) % num_members:
            raise ValueError(
                f"{len(examples)} examples do not divide by {num_members} members"
            )
        for member, share in enumerate(np.split(examples, num_members)):
            cut[member][name] = share
    return cut
