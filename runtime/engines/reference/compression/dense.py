"""Which leaves a codec encodes, and which cross as they are.

A leaf is dense, that is, crosses exactly, in any of these cases:

- its path matches a pattern of the codec's `exclude`, as in a shell;
- it has fewer than 2 dims, and the codec is none that suits every value alike;
- the codec is `sign` or `onebit` and the leaf is smaller than a block;
- the codec is `powersgd` and the factors of the leaf would not be half its size.

The mean of a dense leaf is sum_i v_i (1/N).
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from diamond.dsl.vocabulary import (
    Cast,
    Int4,
    Int8,
    OneBit,
    PowerSgd,
    Qsgd,
    Sign,
)
from diamond.runtime.engines.reference.compression import powersgd
from diamond.runtime.engines.reference.meeting import Array, Leaves, average

ENCODES_ANY_SHAPE = (Cast, Int8, Int4, Qsgd)
ONE_BIT_BLOCK = 1024


def are_coded(term: Any, like: Leaves, paths: Sequence[str]) -> list[bool]:
    """Says of each leaf whether the codec encodes it.

    Example:
        >>> import numpy as np
        >>> leaves, paths = [np.ones(2), np.ones((2, 3))], ["layer/b", "layer/w"]
        >>> are_coded(Int8(exclude=("*/w",)), leaves, paths)
        [True, False]
    """
    pairs = zip(like, paths, strict=True)
    return [_is_coded(term, leaf, path) for leaf, path in pairs]


def _is_coded(term: Any, leaf: Array, path: str) -> bool:
    if any(fnmatchcase(path, pattern) for pattern in term.exclude):
        return False
    if isinstance(term, PowerSgd):
        return leaf.ndim >= 2 and powersgd.pays(term, leaf.shape)
    if isinstance(term, Sign | OneBit):
        block = term.block if isinstance(term, Sign) else ONE_BIT_BLOCK
        return leaf.ndim >= 2 and leaf.size >= block
    return leaf.ndim >= 2 or isinstance(term, ENCODES_ANY_SHAPE)


def chosen(leaves: Leaves, coded: Sequence[bool]) -> Leaves:
    """Returns the coded leaves alone."""
    return [leaf for leaf, is_coded in zip(leaves, coded, strict=True) if is_coded]


def merged(others: Leaves, coded: Sequence[bool], results: Leaves) -> Leaves:
    """Puts the results of the coded leaves in their places among the others."""
    rest = iter(results)
    pairs = zip(others, coded, strict=True)
    return [next(rest) if is_coded else other for other, is_coded in pairs]


def mean_of_all(values: list[Leaves]) -> Leaves:
    """Returns the mean of each leaf, as if all were dense."""
    return [average(column) for column in zip(*values, strict=True)]
