"""Dense leaves: those that cross as they are beside a compressor's.

A pattern of the scheme may exclude tensors; and some compressors leave vectors alone,
which hold few values and sensitive ones.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.coded import exact_mean
from diamond.compiler.exchange.contract import Codec, Compressor, Leaves
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import TensorSpec


class Speeds(NamedTuple):
    """State where leaves that cross as they are have a momentum.

    Attributes:
        dense: The momenta, like those leaves; equal along the axis.
        coded: The compressor's own state, of the other leaves.
    """

    dense: Leaves
    coded: Any


def dense_places(
    tensors: Sequence[TensorSpec],
    compressor: Compressor | Codec,
    exclude: tuple[str, ...],
) -> dict[int, str]:
    """Returns the places of the tensors that cross as they are, and what they are.

    Example:
        >>> from diamond.compiler.exchange.coded import coded
        >>> from diamond.compiler.exchange.compression.cast import cast
        >>> tensors = [TensorSpec("norm/scale", (3,), "float32")]
        >>> dense_places(tensors, coded(cast(), 2), ("norm*",))
        {0: 'excluded'}
    """
    found = {}
    for place, tensor in enumerate(tensors):
        named = any(fnmatchcase(tensor.path, pattern) for pattern in exclude)
        why = "excluded" if named else compressor.skips(tensor.shape)
        if why:
            found[place] = why
    return found


def with_dense(
    compressor: Compressor, reasons: Mapping[int, str], num: int
) -> Compressor:
    """Returns a compressor that leaves some of `num` leaves as they are.

    Args:
        compressor: What forms the mean of the others.
        reasons: For each of the places of leaves that cross as they are, what it is.
        num: How many leaves there are.
    """
    if not reasons or compressor.is_exact:
        return compressor
    dense = frozenset(reasons)
    coded = frozenset(range(num)) - dense

    def init(values: Leaves) -> Any:
        return compressor.init(part_of(values, coded)) if coded else ()

    def mean(values: Leaves, state: Any, wire: Wire, turn: int) -> tuple[Leaves, Any]:
        exact = exact_mean(part_of(values, dense), wire)
        if not coded:
            return exact, state
        found, state = compressor.mean(part_of(values, coded), state, wire, turn)
        return merged(found, exact), state

    made = compressor._replace(init=init, mean=mean)
    notes = [note_on(reasons, num)]
    if compressor.dense_momentum:
        made = _with_momentum(made, dense)
        notes.append(f"there {{y}} <- u <- {compressor.dense_momentum:g} u + {{y}}")
    if coded:
        return made._replace(equations=(*compressor.equations, *notes))
    return made._replace(
        equations=("{y} = mean of {x}", *notes),
        route="sum",
        reason="nothing is compressed, and values add up on the way",
    )


def _with_momentum(compressor: Compressor, dense: frozenset[int]) -> Compressor:
    """Gives the mean of leaves that cross as they are a momentum."""
    decay = compressor.dense_momentum

    def init(values: Leaves) -> Speeds:
        still = jax.tree.map(jnp.zeros_like, part_of(values, dense))
        return Speeds(still, compressor.init(values))

    def mean(
        values: Leaves, state: Speeds, wire: Wire, turn: int
    ) -> tuple[Leaves, Speeds]:
        found, coded = compressor.mean(values, state.coded, wire, turn)
        exact, rest = part_of(found, dense), _without(found, dense)
        speeds = jax.tree.map(lambda u, y: decay * u + y, state.dense, exact)
        return merged(speeds, rest), Speeds(speeds, coded)

    return compressor._replace(init=init, mean=mean)


def _without(values: Leaves, places: frozenset[int]) -> Leaves:
    return part_of(values, frozenset(range(len(values))) - places)


def note_on(reasons: Mapping[int, str], num: int) -> str:
    """Says how many of `num` tensors cross as they are, and why.

    Example:
        >>> note_on({0: "vectors", 3: "vectors"}, 8)
        '2 of 8 tensors cross as they are: 2 vectors'
    """
    kinds = Counter(reasons.values())
    what = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
    return f"{len(reasons)} of {num} tensors cross as they are: {what}"


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
