"""Random bits that all who know the seed agree upon: a hash of where they are used.

With all arithmetic modulo 2**32,

    key     = mix(mix(mix(seed) + count) + member)
    bits[k] = mix((k * 0x9E3779B9) ^ key)
    u[k]    = (bits[k] >> 8) * 2**-24, in [0, 1)

where mix is a bijection of 32-bit words (C. Wellons, "Prospecting for hash
functions", 2018) and 0x9E3779B9 is 2**32 over the golden ratio. There is no state:
any part of any stream can be computed anywhere, at any time.

Whatever is drawn has a seed of its own, made of what it is drawn for: with s = 0 at
first, and for each of the numbers that say so, in order,

    s <- mix(s + number)

    the use, see `Use`
    the checksum of the axis's name
    the seed of the run, or that of the law of delays
    the group's place along the axes outside, row-major; 0 for FACTORS and BASES
    the number of the leaf, where each leaf draws for itself
"""

import zlib
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]
GOLDEN = np.uint32(0x9E3779B9)


class Use(Enum):
    """What is drawn."""

    ROUNDING = 1  # of vector codecs
    TERNARIES = 2
    PLACES = 3  # of randomk
    AGES = 4  # of hogwild's coordinates
    DELAYS = 5
    LATENESS = 6  # of a server's members
    FACTORS = 7  # what powersgd begins with
    BASES = 8  # what gradiveq begins with


def checksum(axis: str) -> int:
    """Returns a checksum of an axis's name.

    Example:
        >>> hex(checksum("site"))
        '0x694309e4'
    """
    return zlib.crc32(axis.encode())


def seed_of(use: Use, axis: str, seed: int = 0, outside: int = 0) -> int:
    """Returns the seed of a use over an axis, see the module.

    Example:
        >>> seed_of(Use.AGES, "site") == seed_of(Use.DELAYS, "site")
        False
    """
    found = 0
    for number in (use.value, checksum(axis), seed, outside):
        found = seed_within(found, number)
    return found


def seed_within(seed: int, number: int) -> int:
    """Returns the seed of a part, such as a leaf."""
    return int(_mix(_word(seed) + _word(number))[0])


def bits(seed: int, count: int, member: int, n: int) -> Words:
    """Returns n random 32-bit words of the stream of a seed, a count and a member.

    Example:
        >>> bits(seed=1, count=0, member=2, n=2).dtype
        dtype('uint32')
    """
    key = _mix(_word(seed))
    key = _mix(key + _word(count))
    key = _mix(key + _word(member))
    return _mix((np.arange(n, dtype=np.uint32) * GOLDEN) ^ key)


def uniform(seed: int, count: int, member: int, n: int) -> NDArray[np.float32]:
    """Returns n numbers in [0, 1), of 24 random bits each.

    Example:
        >>> u = uniform(seed=1, count=0, member=2, n=1000)
        >>> bool(u.min() >= 0), bool(u.max() < 1), bool(0.45 < u.mean() < 0.55)
        (True, True, True)
    """
    words = bits(seed, count, member, n)
    return (words >> np.uint32(8)).astype(np.float32) * np.float32(2.0**-24)


def _word(number: int) -> Words:
    return np.array([number % 2**32], np.uint32)


def _mix(h: Words) -> Words:
    h = (h ^ (h >> np.uint32(16))) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x846CA68B)
    return h ^ (h >> np.uint32(16))
