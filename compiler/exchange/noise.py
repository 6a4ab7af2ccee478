"""Noise: numbers that look random and are a function of where they are used.

    bits(key)[k] = mix(k g XOR key)          key = mix(mix(mix(seed) + count) + member)

with g = 2^32 divided by the golden ratio and `mix` a one-to-one finalizer of 32 bits.
The seed is that of a stream, words mixed in one after the other, from h = 0:

    h <- mix(h + word)       words: use, axis, seed of the run, place outside (, leaf)

so that no two uses draw the same numbers, whatever they count. No generator's state is
carried along: a run that resumes draws what it would have drawn, on every backend and
in every version of jax, and a draw costs seven operations.

References: C. Wellons, Prospecting for Hash Functions, 2018 ("lowbias32").
"""

from enum import IntEnum
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_STEP = 0x9E3779B9
_WORD = 2**32


class Stream(IntEnum):
    """What numbers are drawn for; each use has a stream of its own."""

    ROUNDING = 1
    TERNARIES = 2
    PLACES = 3
    AGES = 4
    DELAYS = 5
    LATENESS = 6
    FACTORS = 7
    BASES = 8


def seed_from(*words: int) -> int:
    """Returns the seed that whole numbers make, one after the other.

    Example:
        >>> seed_from(Stream.AGES, 5) == seed_from(Stream.AGES, 5 + 2**32)
        True
        >>> seed_from(Stream.AGES, 5) == seed_from(Stream.DELAYS, 5)
        False
    """
    seed = np.zeros(1, np.uint32)
    for word in words:
        seed = _mix(seed + np.uint32(word % _WORD))
    return int(seed[0])


def seed_within(seed: int | jax.Array, word: int | jax.Array) -> jax.Array:
    """Returns the seed of a part of a stream, such as a leaf, by its number.

    Example:
        >>> int(seed_within(seed_from(7), 2)) == seed_from(7, 2)
        True
    """
    mixed: jax.Array = _mix(_word(seed) + _word(word))
    return mixed


def key_of(
    seed: int | jax.Array, count: int | jax.Array, member: int | jax.Array
) -> jax.Array:
    """Returns the key, `uint32[]`, of a seed, a count of uses and a member.

    Example:
        >>> key_of(1, 0, 0) == key_of(1, 0, 1)
        Array(False, dtype=bool)
    """
    return seed_within(seed_within(seed_within(0, seed), count), member)


def bits(key: jax.Array, shape: int | tuple[int, ...]) -> jax.Array:
    """Returns evenly distributed 32-bit numbers, `uint32[shape]`."""
    dims = (shape,) if isinstance(shape, int) else shape
    size = 1
    for dim in dims:
        size *= dim
    places = jnp.arange(size, dtype=jnp.uint32) * jnp.uint32(_STEP)
    drawn: jax.Array = _mix(places ^ key).reshape(dims)
    return drawn


def uniform(key: jax.Array, shape: int | tuple[int, ...]) -> jax.Array:
    """Returns evenly distributed numbers in [0, 1), `f32[shape]`, of 24 bits each.

    Example:
        >>> bool(abs(uniform(key_of(1, 0, 0), 1000).mean() - 0.5) < 0.05)
        True
    """
    whole = (bits(key, shape) >> 8).astype(jnp.float32)
    drawn: jax.Array = whole * jnp.float32(2.0**-24)
    return drawn


def _word(number: int | jax.Array) -> jax.Array:
    """Returns a number modulo 2^32."""
    if isinstance(number, int):
        return jnp.asarray(number % _WORD, jnp.uint32)
    return jnp.asarray(number).astype(jnp.uint32)


def _mix(h: Any) -> Any:
    """Mixes words of 32 bits, of jax or of NumPy."""
    h = (h ^ (h >> 16)) * np.uint32(0x7FEB352D)
    h = (h ^ (h >> 15)) * np.uint32(0x846CA68B)
    return h ^ (h >> 16)
