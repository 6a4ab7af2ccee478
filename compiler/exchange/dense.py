"""Dense leaves: those that cross as they are beside a compressor's.

A pattern of the scheme may exclude tensors; and some compressors leave vectors alone,
which hold few values and sensitive ones.
"""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from diamond.compiler.exchange.coded import exact_mean
from diamond.compiler.exchange.contract import Compressor, Leaves
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import TensorSpec


def dense_places(
    tensors: Sequence[TensorSpec], compressor: Compressor, exclude: tuple[str, ...]
) -> frozenset[int]:
    """Returns the places of the tensors that cross as they are.

    Example:
        >>> from diamond.compiler.exchange.coded import coded
        >>> from diamond.compiler.exchange.compression.cast import cast
        >>> tensors = [TensorSpec("norm/scale", (3,), "float32")]
        >>> dense_places(tensors, coded(cast(), 2), ("norm*",))
        frozenset({0})
    """
    return frozenset(
        place
        for place, tensor in enumerate(tensors)
        if compressor.skips(tensor.shape)
        or any(fnmatchcase(tensor.path, pattern) for pattern in exclude)
    )


def check_patterns(tensors: Sequence[TensorSpec], form: Any) -> None:
    """Checks that what a compression term excludes is there, in the whole model.

    Raises:
        ValueError: If a pattern matches no tensor.
    """
    for pattern in getattr(form, "exclude", ()):
        if not any(fnmatchcase(tensor.path, pattern) for tensor in tensors):
            paths = ", ".join(tensor.path for tensor in tensors)
            raise ValueError(
                f'`exclude = ["{pattern}"]` matches no tensor: there are {paths}'
            )


def with_dense(compressor: Compressor, dense: frozenset[int], num: int) -> Compressor:
    """Returns a compressor that leaves some of `num` leaves as they are."""
    if not dense or compressor.is_exact:
        return compressor
    coded = frozenset(range(num)) - dense

    def init(values: Leaves) -> Any:
        return compressor.init(part_of(values, coded)) if coded else ()

    def mean(values: Leaves, state: Any, wire: Wire, turn: int) -> tuple[Leaves, Any]:
        exact = exact_mean(part_of(values, dense), wire)
        if not coded:
            return exact, state
        found, state = compressor.mean(part_of(values, coded), state, wire, turn)
        return merged(found, exact), state

    note = f"{len(dense)} of {num} tensors cross as they are"
    equations = (*compressor.equations, note) if coded else ("{y} = mean of {x}",)
    return compressor._replace(init=init, mean=mean, equations=equations)


def part_of(values: Leaves, places: frozenset[int]) -> Leaves:
    """Returns the leaves at some places, None elsewhere."""
    return [leaf if place in places else None for place, leaf in enumerate(values)]


def merged(some: Leaves, others: Leaves) -> Leaves:
    """Returns the leaves of two lists, each of which has what the other lacks.

    Example:
        >>> merged([1, None], [None, 2])
        [1, 2]
    """
    return [a if a is not None else b for a, b in zip(some, others, strict=True)]
