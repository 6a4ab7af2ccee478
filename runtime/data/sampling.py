"""The order of examples: a pure function of the seed and the step.

Random numbers are raw output of Philox, whose stream NumPy promises to keep, and not
of `Generator.permutation`, whose stream may change between releases: a run that is
resumed elsewhere sees the same examples.
"""

import functools

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def random_bits(seed: int, stream: int, count: int) -> NDArray[np.uint64]:
    """Returns `count` random 64-bit integers of a stream of a seed."""
    word = 2**64
    key = np.array([seed % word, stream % word], np.uint64)
    return np.random.Philox(key=key).random_raw(count)


@functools.lru_cache(maxsize=4)
def permutation(seed: int, epoch: int, size: int) -> Integers:
    """Returns the order of `size` examples in an epoch.

    Example:
        >>> sorted(permutation(0, 3, 4).tolist())
        [0, 1, 2, 3]
    """
    order = np.argsort(random_bits(seed, epoch, size), kind="stable")
    order.flags.writeable = False
    return order


def shuffled(seed: int, size: int, start: int, count: int) -> Integers:
    """Returns `count` places of the endless stream of shuffled epochs, from `start`.

    Within an epoch of `size` places none comes twice; a batch may cross epochs.

    Example:
        >>> sorted(shuffled(0, 3, 0, 6).tolist())
        [0, 0, 1, 1, 2, 2]
    """
    epochs = range(start // size, (start + count - 1) // size + 1)
    orders = np.concatenate([permutation(seed, epoch, size) for epoch in epochs])
    first = start - epochs[0] * size
    return orders[first : first + count]


def split(size: int, held_out: float) -> tuple[Integers, Integers]:
    """Splits places into those to train on and those held out, each in order.

    The split depends on nothing but the size and the share. At least one place is
    trained on, and one held out where a share is asked for, as far as there are two.

    Example:
        >>> [len(places) for places in split(4, 0.05)]
        [3, 1]
    """
    order = permutation(0, 0, size)
    wanted = max(round(size * held_out), 1 if held_out else 0)
    cut = max(min(wanted, size - 1), 0)
    return np.sort(order[cut:]), np.sort(order[:cut])
