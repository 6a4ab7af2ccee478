"""The codecs in plain NumPy, value by value as their equations have it.

Each takes a vector `[n]` and the uniform numbers of an encoding, or of signs which of
the vector are values and no padding, and returns what comes out at the other end.
"""

import zlib

import ml_dtypes
import numpy as np

from diamond.compiler.exchange.noise import Stream
from diamond.dsl.vocabulary import Cast, Int4, Int8, NoCompression, Qsgd, Sign
from tests.compiler.exchange.members import AXIS

SMALLEST = np.finfo(np.float32).tiny


def mixed(h):
    """The finalizer of 32 bits, on whole numbers."""
    h ^= h >> 16
    h = h * 0x7FEB352D & 0xFFFFFFFF
    h ^= h >> 15
    h = h * 0x846CA68B & 0xFFFFFFFF
    return h ^ h >> 16


def seed_of(use, *leaf, axis=AXIS, seed=0, outside=0):
    """Returns the seed of a use, and of a leaf, in whole numbers."""
    found = 0
    for number in (use, zlib.crc32(axis.encode()), seed, outside, *leaf):
        found = mixed((found + number) & 0xFFFFFFFF)
    return found


SEED = seed_of(Stream.ROUNDING)


def uniform(seed, count, member, n):
    """Returns n numbers in [0, 1)."""
    key = mixed((mixed((mixed(seed) + count) & 0xFFFFFFFF) + member) & 0xFFFFFFFF)
    drawn = [mixed((k * 0x9E3779B9 & 0xFFFFFFFF) ^ key) for k in range(n)]
    return np.array([bits >> 8 for bits in drawn], np.float32) * np.float32(2.0**-24)


def through(term, vector, draw=None):
    """Returns C(v)."""
    return _FORMS[type(term)](term, vector, draw)


def _steps(top):
    def form(term, vector, draw):
        dtype = vector.dtype.type
        blocks = vector.reshape(-1, term.block)
        scale = np.float32(np.abs(blocks).max(1, keepdims=True) * dtype(1 / top))
        scale = np.where(scale < SMALLEST, np.float32(1), scale).astype(dtype)
        steps = np.clip(np.rint(blocks * (1 / scale)), -top, top)
        return (steps * scale).ravel()

    return form


def _qsgd(term, vector, draw):
    dtype = vector.dtype.type
    top = 2 ** (term.bits - 1) - 1
    made = np.zeros_like(vector)
    for start in range(0, len(vector), term.bucket):
        here = slice(start, start + term.bucket)
        values = vector[here]
        norm = dtype(np.float32(np.sqrt((values * values).sum())))
        if norm >= SMALLEST:
            ratios = np.abs(values) * (dtype(top) * (dtype(1) / norm))
            levels = np.minimum(np.floor(ratios + draw[here].astype(dtype)), top)
            made[here] = np.sign(values) * levels * (norm * dtype(1 / top))
    return made


def _sign(term, vector, held):
    dtype = vector.dtype.type
    made = np.zeros_like(vector)
    for start in range(0, len(vector), term.block):
        here = np.arange(start, start + term.block)
        here = here if held is None else here[held[here]]
        if len(here):
            scale = np.float32(np.abs(vector[here]).sum() * dtype(1 / len(here)))
            scale = scale if scale >= SMALLEST else np.float32(0)
            made[here] = np.where(vector[here] >= 0, scale, -scale)
    return made


def _cast(term, vector, draw):
    kinds = {"bf16": ml_dtypes.bfloat16, "fp16": np.float16}
    kinds |= {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}
    kind = kinds[term.to]
    top = float(ml_dtypes.finfo(kind).max)
    clipped = np.clip(vector, -top, top).astype(np.float32)
    return clipped.astype(kind).astype(vector.dtype)


_FORMS = {
    NoCompression: lambda term, vector, draw: vector,
    Cast: _cast,
    Int8: _steps(127),
    Int4: _steps(7),
    Qsgd: _qsgd,
    Sign: _sign,
}
