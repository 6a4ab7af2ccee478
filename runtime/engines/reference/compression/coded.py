"""The mean over N members where a codec C encodes one long vector by blocks.

The coded leaves, each filled up with zeros to whole blocks, stand end to end in a
vector. What C loses of p_i is remembered and added the next time (error feedback):

gathered (N <= 2): everyone gets everyone's encoding
    p_i  = v_i + e_i
    e_i <- p_i - C(p_i)
    mean = (sum_i C(p_i)) (1/N)
in two phases (N > 2): member j is the server of chunk j
    p_i, e_i as above, the vector filled up to N chunks of whole blocks
    m_j  = (sum_i C(p_i)[chunk j]) (1/N) + s_j
    s_j <- m_j - C(m_j)
    mean = C(m_0), C(m_1), ..., C(m_{N-1}), end to end
a push: each member's values go to others who decode them
    p_i, e_i as gathered; no mean is taken

Without feedback e and s stay 0. A codec that draws lots draws u with the seed of
roundings, the count of exchanges, and the member: i for a worker, N + j for a server;
u of a value depends on its place in the vector. At a push by leaf it depends on the
leaf, which has a seed of its own, and on the place in the leaf.

Both residuals: Zheng, Huang and Kwok, "Communication-efficient distributed blockwise
momentum SGD with error-feedback", arXiv 1905.10936, 2019.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression import dense
from diamond.runtime.engines.reference.meeting import (
    Array,
    Leaves,
    Meeting,
    average_decoded,
)
from diamond.runtime.engines.reference.noise import Use

Draw = Callable[[int], NDArray[np.float32]]


class VectorCodec(NamedTuple):
    """How one codec encodes a vector.

    Attributes:
        block_of: Says of a term how many neighbouring values are encoded together.
        round_trip: Returns C(p), in the type of p, of a term, of p of whole blocks,
            and of a function that draws so many numbers in [0, 1).
        minds_filling: Whether zeros that fill up a block would change what becomes of
            the values in it; `round_trip` is then told also which are values.
    """

    block_of: Callable[[Any], int]
    round_trip: Callable[..., Array]
    minds_filling: bool = False


class Residual(NamedTuple):
    """What the roundings of one member have lost so far.

    Both are None without feedback; nobody serves where encodings are gathered.
    """

    worker: Array | None  # [padded length]: e_i, lost by what the member sends
    server: Array | None  # [padded length / N]: s_j, lost by the chunk it averages


Coded = tuple[Leaves, list[Residual]]
Owed = Sequence[Array | None]


def start(
    codec: VectorCodec, term: Any, like: Leaves, num: int, meeting: Meeting
) -> list[Residual]:
    """Returns the residuals before the first mean."""
    is_coded = dense.are_coded(term, like, meeting.paths)
    return start_coded(codec, term, dense.chosen(like, is_coded), num)


def start_coded(
    codec: VectorCodec, term: Any, like: Leaves, num: int
) -> list[Residual]:
    """Returns the residuals before the first mean of leaves that are all coded."""
    if not keeps_residual(term) or not like:
        return [Residual(None, None)] * num
    sent = _laid_out(codec, term, [np.zeros_like(leaf) for leaf in like], num)
    served = sent[: sent.size // num] if num > 2 else None
    return [Residual(sent, served)] * num


def mean(
    codec: VectorCodec,
    term: Any,
    values: list[Leaves],
    states: list[Residual],
    meeting: Meeting,
) -> Coded:
    """Returns the mean that every member gets, and the residuals it leaves."""
    is_coded = dense.are_coded(term, values[0], meeting.paths)
    parts = [dense.chosen(leaves, is_coded) for leaves in values]
    means, left = mean_coded(codec, term, parts, states, meeting)
    return dense.merged(dense.mean_of_all(values), is_coded, means), left


def mean_coded(
    codec: VectorCodec,
    term: Any,
    values: list[Leaves],
    states: list[Residual],
    meeting: Meeting,
) -> Coded:
    """Returns the mean of leaves that are all coded."""
    num, like = len(values), values[0]
    if not like:
        return [], states
    laid = [_laid_out(codec, term, leaves, num) for leaves in values]
    draws, held = partial(_draw, meeting), _values_in(codec, term, like, num)
    owed = [s.worker for s in states]
    sent, workers = _send(codec, term, laid, owed, draws, [held] * num)
    if num <= 2:
        left = [Residual(e, None) for e in workers]
        return _taken_apart(codec, term, average_decoded(sent), like), left
    chunks = zip(*[np.split(c, num) for c in sent], strict=True)
    averages = [average_decoded(chunk) for chunk in chunks]
    owed = [s.server for s in states]
    parts = np.split(held, num)
    passed, servers = _send(codec, term, averages, owed, draws, parts, first=num)
    left = [Residual(e, s) for e, s in zip(workers, servers, strict=True)]
    return _taken_apart(codec, term, np.concatenate(passed), like), left


def start_push(
    codec: VectorCodec, term: Any, like: Leaves, num: int, meeting: Meeting
) -> list[Residual]:
    """Returns the residuals before the first push: no member is a server."""
    return start(codec, term, like, 1, meeting) * num


def push(
    codec: VectorCodec,
    term: Any,
    values: list[Leaves],
    states: list[Residual],
    meeting: Meeting,
    *,
    by_leaf: bool = False,
    first: int = 0,
) -> tuple[list[Leaves], list[Residual]]:
    """Returns what each member's leaves are once decoded, and the residuals left.

    Lots are drawn with the numbers of the members, counted from the `first`.
    """
    is_coded = dense.are_coded(term, values[0], meeting.paths)
    parts = [dense.chosen(leaves, is_coded) for leaves in values]
    if not any(is_coded):
        return values, states
    laid = [_laid_out(codec, term, part, 1) for part in parts]
    draws = partial(_draw, meeting)
    if by_leaf:
        block = codec.block_of(term)
        sizes = [
            (number, leaf.size + -leaf.size % block)
            for number, leaf in enumerate(values[0])
            if is_coded[number]
        ]
        draws = partial(_draw_by_leaf, meeting, sizes)
    held = [_values_in(codec, term, parts[0], 1)] * len(laid)
    owed = [s.worker for s in states]
    sent, workers = _send(codec, term, laid, owed, draws, held, first)
    decoded = [_taken_apart(codec, term, c, parts[0]) for c in sent]
    pairs = zip(values, decoded, strict=True)
    results = [dense.merged(leaves, is_coded, part) for leaves, part in pairs]
    return results, [Residual(e, None) for e in workers]


def keeps_residual(term: Any) -> bool:
    """Says whether what is lost is added to what is sent next."""
    return bool(getattr(term, "feedback", False))


def _send(
    codec: VectorCodec,
    term: Any,
    values: list[Array],
    owed: Owed,
    draws: Callable[[int, int], NDArray[np.float32]],
    held: Sequence[Array],
    first: int = 0,
) -> tuple[list[Array], Owed]:
    """Adds what is owed and encodes; returns C(p) and what is owed now, for each."""
    asked = [v if e is None else v + e for v, e in zip(values, owed, strict=True)]
    given = []
    for member, (p, are_values) in enumerate(zip(asked, held, strict=True), first):
        told = [are_values] if codec.minds_filling else []
        given.append(codec.round_trip(term, p, partial(draws, member), *told))
    if not keeps_residual(term):
        return given, owed
    return given, [p - c for p, c in zip(asked, given, strict=True)]


def _draw(meeting: Meeting, member: int, n: int) -> NDArray[np.float32]:
    """Draws a number for each value of a vector."""
    return noise.uniform(meeting.seed_of(Use.ROUNDING), meeting.count, member, n)


def _draw_by_leaf(
    meeting: Meeting, sizes: Sequence[tuple[int, int]], member: int, n: int
) -> NDArray[np.float32]:
    """Draws for each leaf, of which number and size are given, on its own."""
    seed = meeting.seed_of(Use.ROUNDING)
    drawn = [
        noise.uniform(noise.seed_within(seed, leaf), meeting.count, member, size)
        for leaf, size in sizes
    ]
    assert sum(size for _, size in sizes) == n
    return np.concatenate(drawn)


def _laid_out(codec: VectorCodec, term: Any, leaves: Leaves, num: int) -> Array:
    block = codec.block_of(term)
    vector = np.concatenate([_padded(leaf.ravel(), block) for leaf in leaves])
    return _padded(vector, num * block) if num > 2 else vector


def _values_in(codec: VectorCodec, term: Any, like: Leaves, num: int) -> Array:
    """Says of each number that leaves are laid out in whether it is a value."""
    return _laid_out(codec, term, [np.ones(leaf.shape, bool) for leaf in like], num)


def _padded(vector: Array, multiple: int) -> Array:
    return np.pad(vector, (0, -vector.size % multiple))


def _taken_apart(codec: VectorCodec, term: Any, vector: Array, like: Leaves) -> Leaves:
    """Undoes `_laid_out`."""
    block, place, leaves = codec.block_of(term), 0, []
    for leaf in like:
        leaves.append(vector[place : place + leaf.size].reshape(leaf.shape))
        place += leaf.size + -leaf.size % block
    return leaves
