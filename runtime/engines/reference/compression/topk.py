"""`topk(density)`: only the values of greatest size cross, with their places.

For each coded leaf, with k = max(1, round(density size)),

    p_i  = v_i + e_i
    c_i  = p_i at the places of its k greatest |p_i|, the first of equals; 0 elsewhere
    e_i <- p_i - c_i
    mean = (c_0 + c_1 + ...) (1/N)

Nothing is lost: what a member has sent and what it still keeps are all it was given.

Stich, Cordonnier and Jaggi, "Sparsified SGD with memory", arXiv 1809.07599, 2018;
Alistarh, Hoefler, Johansson, Khirirat, Konstantinov and Renggli, "The convergence of
sparsified gradient methods", arXiv 1809.10505, 2018.
"""

from typing import NamedTuple

import numpy as np

from diamond.dsl.vocabulary import TopK
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.meeting import Array, average_decoded


class Kept(NamedTuple):
    """What one member has not sent of one leaf so far; None without feedback."""

    error: Array | None  # [the leaf's shape]


def begin(term: TopK, leaf: Array, _: Place) -> Kept:
    """Returns no error."""
    return Kept(np.zeros_like(leaf) if term.feedback else None)


def exchange(
    term: TopK, values: list[Array], memories: list[Kept], _: Place
) -> tuple[Array, list[Kept]]:
    """Returns the mean of one leaf, and what has not been sent of it."""
    asked = [owing(v, memory) for v, memory in zip(values, memories, strict=True)]
    sent = [where(largest(p, term.density), p) for p in asked]
    if term.feedback:
        memories = [Kept(p - c) for p, c in zip(asked, sent, strict=True)]
    return average_decoded(sent), memories


def owing(v: Array, memory: Kept) -> Array:
    """Returns v + e, or v without feedback."""
    return v if memory.error is None else v + memory.error


def num_kept(density: float, size: int) -> int:
    """Returns how many values of a leaf cross.

    Example:
        >>> num_kept(0.01, 1000), num_kept(0.01, 7)
        (10, 1)
    """
    return max(1, round(density * size))


def largest(p: Array, density: float) -> Array:
    """Says of each value whether it is among the greatest, the first of equals.

    Example:
        >>> largest(np.array([[1.0, -3.0], [2.0, -2.0]]), density=0.5).tolist()
        [[False, True], [True, False]]
    """
    order = np.argsort(-np.abs(p), axis=None, kind="stable")
    is_kept = np.zeros(p.size, bool)
    is_kept[order[: num_kept(density, p.size)]] = True
    return is_kept.reshape(p.shape)


def where(is_kept: Array, p: Array) -> Array:
    """Returns p where it is kept, 0 elsewhere."""
    return np.where(is_kept, p, 0)
