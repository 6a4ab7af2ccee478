"""Members that meet over one axis, again and again, for tests of the codecs."""

import dataclasses

import numpy as np

from diamond.runtime.engines.reference import compression
from diamond.runtime.engines.reference.meeting import Meeting


def paths_of(leaves):
    return tuple(f"leaf{number}" for number in range(len(leaves)))


def normal(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def members(num, *shapes, dtype=np.float64, seed=0):
    """Returns leaves of these shapes for each member, all different."""
    rng = np.random.default_rng(seed)
    return [[rng.normal(size=s).astype(dtype) for s in shapes] for _ in range(num)]


class Exchange:
    """A codec's exchanges over one axis, one after another."""

    def __init__(self, term, like, num, axis="site", paths=None, decay=None):
        self.term, self.num, self.count = term, num, 0
        self.meeting = Meeting(axis, paths or paths_of(like), 0, decay)
        self.states = compression.start(term, like, num, self.meeting)

    def __call__(self, values):
        meeting = dataclasses.replace(self.meeting, count=self.count)
        result, self.states = compression.mean(self.term, values, self.states, meeting)
        self.count += 1
        return result


def mean_once(term, values, **kw):
    return Exchange(term, values[0], len(values), **kw)(values)


def plain(values):
    return [np.mean(np.stack(column), axis=0) for column in zip(*values, strict=True)]


def size_of(values):
    return float(
        np.sqrt(sum(np.sum(value.astype(np.float64) ** 2) for value in values))
    )
