"""`allreduce(reduce = adasum)`: values that agree are averaged, others are added.

Two values a and b of a leaf become

    A(a, b) = a (1 - (a . b) (1/(2 |a|^2))) + b (1 - (a . b) (1/(2 |b|^2)))

with the coefficient 1 where its |.|^2 is 0. N = 2^k members are combined in k levels:
at level l, those whose numbers differ in bit l alone combine what they have; a is the
value of the one whose bit is 0. Then all have the same.

Limits: A(a, a) = a; A(a, b) = a + b if a . b = 0.

Maleki, Musuvathi, Mytkowicz, Saarikivi, Xu, Eksarevskiy, Ekanayake and Barsoum,
"Scaling distributed training with adaptive summation", arXiv 2006.02924, 2020. Dot
products are taken in the type of the values.
"""

from typing import Any

import numpy as np

from diamond.runtime.engines.reference.meeting import Array, Leaves


def combined(values: list[Leaves]) -> Leaves:
    """Returns what all members have in the end."""
    level = 1
    while level < len(values):
        values = [
            _of_pair(values[i & ~level], values[i | level]) for i in range(len(values))
        ]
        level *= 2
    return values[0]


def _of_pair(first: Leaves, second: Leaves) -> Leaves:
    return [adaptive_sum(a, b) for a, b in zip(first, second, strict=True)]


def adaptive_sum(a: Array, b: Array) -> Array:
    """Returns A(a, b).

    Example:
        >>> x, y = np.array([1.0, 0.0]), np.array([0.0, 1.0])
        >>> adaptive_sum(x, y), adaptive_sum(x, x)
        (array([1., 1.]), array([1., 0.]))
    """
    dot = (a * b).sum()
    return np.asarray(a * _coefficient(dot, a) + b * _coefficient(dot, b))


def _coefficient(dot: Any, of: Array) -> Any:
    square = (of * of).sum()
    return 1 - dot * (1 / (2 * square)) if square > 0 else 1
