"""`randomk(density)`: values at random places that all members share cross.

For each coded leaf of `size` values, with k = max(1, round(density size)), the range
is cut into k strides of size // k values, one place is drawn in each, and all are
shifted round by a common offset; b are k + 1 random words that depend on the leaf and
on the count of exchanges alone:

    place_j = (j stride + b_j mod stride + b_k mod size) mod size        for j < k

so that the places differ and each value is at one with probability k/size. Then

    with feedback     p_i = v_i + e_i;  e_i <- p_i with 0 at the places
    without           p_i = v_i (size/k), which makes the mean unbiased
    mean = sum_i p_i (1/N) at the places, 0 elsewhere

As all send the same places, none cross, and the values add up in an all-reduce.

Stich, Cordonnier and Jaggi, "Sparsified SGD with memory", arXiv 1809.07599, 2018. The
paper draws k of all places; here they are spread over the leaf.
"""

import numpy as np

from diamond.dsl.vocabulary import RandomK
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.compression.topk import (
    Kept,
    num_kept,
    owing,
    where,
)
from diamond.runtime.engines.reference.meeting import Array, average
from diamond.runtime.engines.reference.noise import Use


def begin(term: RandomK, leaf: Array, _: Place) -> Kept:
    """Returns no error."""
    return Kept(np.zeros_like(leaf) if term.feedback else None)


def exchange(
    term: RandomK, values: list[Array], memories: list[Kept], place: Place
) -> tuple[Array, list[Kept]]:
    """Returns the mean of one leaf, and what has not been sent of it."""
    shape, size = values[0].shape, values[0].size
    num = num_kept(term.density, size)
    drawn = places(place, num, size)
    is_kept = np.isin(np.arange(size), drawn).reshape(shape)
    asked = [owing(v, memory) for v, memory in zip(values, memories, strict=True)]
    if term.feedback:
        memories = [Kept(where(~is_kept, p)) for p in asked]
    else:
        asked = [p * (size / num) for p in asked]
    return average([where(is_kept, p) for p in asked]), memories


def places(place: Place, num: int, size: int) -> Array:
    """Returns the places that cross, in the order in which they are drawn."""
    seed = place.seed_of(Use.PLACES)
    words = noise.bits(seed, place.count, 0, num + 1).astype(np.int64)
    stride = size // num
    starts = np.arange(num) * stride
    return np.asarray((starts + words[:num] % stride + words[num] % size) % size)
