"""`allreduce(reduce = majority)`: each coordinate goes the way that most members go.

    v = +1 where sum_i sgn(g_i) >= 0, else -1        with sgn(0) = +1

for every leaf that the codec does not exclude; the others get their mean.

Bernstein, Zhao, Azizzadenesheli and Anandkumar, "signSGD with majority vote is
communication efficient and fault tolerant", arXiv 1810.05291, 2019.
"""

from fnmatch import fnmatchcase

import numpy as np

from diamond.dsl.vocabulary import Sign
from diamond.runtime.engines.reference.meeting import Array, Leaves, average


def elected(form: Sign, values: list[Leaves], paths: tuple[str, ...]) -> Leaves:
    """Returns the vote of all members on each leaf, or the mean where none is held.

    Example:
        >>> values = [[np.array([-3.0, 0.0])], [np.array([1.0, -1.0])]]
        >>> elected(Sign(feedback=False), values, ("w",))
        [array([1., 1.])]
    """
    columns = zip(paths, zip(*values, strict=True), strict=True)
    return [
        average(column) if _is_excluded(form, path) else _vote(column)
        for path, column in columns
    ]


def _is_excluded(form: Sign, path: str) -> bool:
    return any(fnmatchcase(path, pattern) for pattern in form.exclude)


def _vote(column: tuple[Array, ...]) -> Array:
    balance = sum(np.where(g >= 0, 1, -1) for g in column)
    return np.where(balance >= 0, 1, -1).astype(column[0].dtype)
