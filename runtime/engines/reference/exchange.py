"""The exchange: N members over one axis put in v_i, and all get out their mean.

`none`
    mean = sum_i v_i / N
a codec C, gathered (N <= 2): everyone gets everyone's encoding
    p_i  = v_i + e_i
    e_i <- p_i - C(p_i)
    mean = sum_i C(p_i) / N
a codec C, in two phases (N > 2): member j is the server of chunk j
    p_i, e_i as above; p is cut into N chunks of whole blocks
    m_j  = sum_i C(p_i)[chunk j] / N + s_j
    s_j <- m_j - C(m_j)
    mean = C(m_0), C(m_1), ..., C(m_{N-1}), end to end

The residuals e (worker) and s (server) are the error feedback of Zheng, Huang and
Kwok, "Communication-efficient distributed blockwise momentum SGD with
error-feedback", arXiv 1905.10936, 2019; without feedback they stay 0. Terms are
divided before they are summed, and summed in the order of the members, in the type
of the values.
"""

from collections.abc import Sequence

import numpy as np

from diamond.dsl.vocabulary import NoCompression
from diamond.runtime.engines.reference import codecs, vectors
from diamond.runtime.engines.reference.codecs import Compression
from diamond.runtime.engines.reference.state import Residual, Vector

Owed = Sequence[Vector | None]


def average(values: Sequence[Vector]) -> Vector:
    """Returns sum_i v_i (1/N): divided first, so that a sum of large ones is finite.

    Example:
        >>> average([np.array([1.0, 2.0]), np.array([3.0, 6.0])])
        array([2., 4.])
    """
    return total_of([value * (1 / len(values)) for value in values])


def average_decoded(values: Sequence[Vector]) -> Vector:
    """Returns (sum_i v_i) (1/N), the mean of values that were decoded.

    Example:
        >>> average_decoded([np.array([1.0, 2.0]), np.array([3.0, 6.0])])
        array([2., 4.])
    """
    return total_of(values) * (1 / len(values))


def total_of(values: Sequence[Vector]) -> Vector:
    """Adds vectors in the order of the members."""
    total = values[0]
    for value in values[1:]:
        total = total + value
    return total


def start(
    compression: Compression, num_members: int, sizes: tuple[int, ...], like: Vector
) -> Residual:
    """Returns the residual with which each member begins: zeros, in the type of v."""
    if not codecs.keeps_residual(compression):
        return Residual(None, None)
    sent = _lay_out(compression, num_members, np.zeros_like(like), sizes)
    return Residual(sent, sent[: sent.size // num_members] if num_members > 2 else None)


def mean(
    compression: Compression,
    values: Sequence[Vector],
    residuals: Sequence[Residual],
    sizes: tuple[int, ...],
) -> tuple[Vector, tuple[Residual, ...]]:
    """Returns the mean that every member gets, and the residuals it leaves.

    Args:
        compression: The codec.
        values: v_i, one vector a member, the leaves end to end.
        residuals: One a member.
        sizes: The number of values in each leaf; each leaf is padded with zeros to
            whole blocks, and for two phases the end to whole blocks a chunk.

    Example:
        >>> v = [np.array([3.0]), np.array([1.0])]
        >>> mean(NoCompression(), v, [Residual(None, None)] * 2, (1,))[0]
        array([2.])
    """
    if isinstance(compression, NoCompression):
        return average(values), tuple(residuals)
    laid = [_lay_out(compression, len(values), value, sizes) for value in values]
    result, left = _encoded_mean(compression, laid, residuals)
    block = codecs.block_of(compression)
    return vectors.strip_leaves(result, sizes, block), tuple(left)


def _encoded_mean(
    compression: Compression, values: list[Vector], residuals: Sequence[Residual]
) -> tuple[Vector, list[Residual]]:
    num = len(values)
    sent, workers = _send(compression, values, [r.worker for r in residuals])
    if num <= 2:
        return average_decoded(sent), _paired(workers, [None] * num)
    chunks = [np.split(c, num) for c in sent]
    averages = [average_decoded([c[j] for c in chunks]) for j in range(num)]
    passed, servers = _send(compression, averages, [r.server for r in residuals])
    return np.concatenate(passed), _paired(workers, servers)


def _send(
    compression: Compression, values: list[Vector], owed: Owed
) -> tuple[list[Vector], Owed]:
    """Adds what is owed, encodes; returns C(p) and what is owed now, for each."""
    if not codecs.keeps_residual(compression):
        return [codecs.round_trip(compression, p) for p in values], owed
    asked = [v if e is None else v + e for v, e in zip(values, owed, strict=True)]
    given = [codecs.round_trip(compression, p) for p in asked]
    return given, [p - c for p, c in zip(asked, given, strict=True)]


def _lay_out(
    compression: Compression, num_members: int, value: Vector, sizes: tuple[int, ...]
) -> Vector:
    block = codecs.block_of(compression)
    padded = vectors.pad_leaves(value, sizes, block)
    return vectors.pad_end(padded, num_members * block) if num_members > 2 else padded


def _paired(workers: Owed, servers: Owed) -> list[Residual]:
    return [Residual(e, s) for e, s in zip(workers, servers, strict=True)]
