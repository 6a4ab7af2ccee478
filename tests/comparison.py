"""Holding a program against the reference engine.

Every tensor is compared entry by entry, relative to its largest entry. Two ways:

* `follow`: two runs side by side, each from its own state;
* `shadow`: single steps, each from the reference's own state. Where values cross in a
  rounded form this is the one that means something in fp32: two programs that differ in
  the last bit may round a value at a rounding boundary to neighbouring codes, and no
  tolerance bounds what follows. Such entries are counted.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from diamond.dsl.vocabulary import NoCompression, Scheme, phases_of
from tests.conversion import Pair, converted, placed

LEAST_SCALE = 0.02
BatchAt = Callable[[int], Mapping[str, Any]]


class Count(NamedTuple):
    """How many entries were compared, and how many lay beyond the tolerance."""

    entries: int
    beyond: int


def follow(pair: Pair, batch_at: BatchAt, *, steps: int, tolerance: float) -> None:
    """Asserts that two runs of the same scheme stay together."""
    state = pair.program.init(jax.random.key(0))
    truth = pair.engine.init(jax.random.key(0))
    for step in range(steps):
        state, metrics = pair.program.step(state, batch_at(step))
        truth, expected = pair.engine.step(truth, batch_at(step))
        mine, other = np.ravel(metrics["loss"]), np.ravel(expected["loss"])
        np.testing.assert_allclose(mine, other, rtol=100 * tolerance)
        for distance in _distances(state.params, converted(pair, truth).params):
            assert distance.max() <= tolerance, (step, pair.program.scheme)


def shadow(pair: Pair, batch_at: BatchAt, *, steps: int, tolerance: float) -> Count:
    """Takes each step of the reference with the program, from the same state.

    All of the state is compared: parameters, optimizer, anchors, what codecs lost. A
    displacement is a small difference of parameters, so its last bits are theirs: it
    is compared relative to 2 % of the largest parameter where that is more.
    """
    truth = pair.engine.init(jax.random.key(0))
    entries = beyond = 0
    for step in range(steps):
        state, _ = pair.program.step(placed(pair, truth), batch_at(step))
        truth, _ = pair.engine.step(truth, batch_at(step))
        expected = converted(pair, truth)
        least = LEAST_SCALE * max(map(_largest, jax.tree.leaves(expected.params)))
        for distance in _distances(state[1:], expected[1:], least):
            entries += distance.size
            beyond += int((~(distance <= tolerance)).sum())
    return Count(entries, beyond)


def follow_copies(
    pair: Pair, batch_at: BatchAt, *, steps: int, tolerance: float
) -> None:
    """Asserts that runs of copies that are cut up stay with the whole ones.

    Losses are compared at every step, and each copy's parameters at the end: in fp64
    alone, since Adam makes much of the last bits of a small gradient.
    """
    program, engine = pair
    state = program.init(jax.random.key(0))
    truth = engine.init(jax.random.key(0))
    for step in range(steps):
        state, metrics = program.step(state, batch_at(step))
        truth, expected = engine.step(truth, batch_at(step))
        losses = np.asarray(metrics["loss"]).reshape(engine.num_members, -1)
        truths = np.ravel(expected["loss"])
        np.testing.assert_allclose(losses.mean(axis=1), truths, rtol=tolerance)
    if engine.scheme.train.precision == "fp64":
        for member in range(engine.num_members):
            mine = program.member_params(state, member)
            theirs = engine.member_parameters(truth, member)
            assert all(each.max() <= tolerance for each in _distances(mine, theirs))


def is_unrounded(scheme: Scheme) -> bool:
    """Whether all values of a scheme cross as they are."""
    codecs = [
        phase.value
        for replicas in scheme.replicas
        for phase in phases_of(replicas.compression)
    ]
    return all(isinstance(codec, NoCompression) for codec in codecs)


def _largest(array: Any) -> float:
    return float(np.abs(np.asarray(array, np.float64)).max())


def _distances(found: Any, expected: Any, least: float = 1e-30) -> Iterator[np.ndarray]:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for mine, truth in pairs:
        a, b = np.asarray(mine, np.float64), np.asarray(truth, np.float64)
        assert np.isfinite(b).all()
        yield np.abs(a - b) / max(_largest(b), least)
