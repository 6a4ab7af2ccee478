"""Every compiled program against the reference engine, and its certificate.

Three comparisons, of every tensor by its largest entry:

* fp64, 50 steps, every scheme: within 1e-10;
* fp32, 50 steps, schemes whose values cross unrounded: within 1e-5;
* fp32, 50 single steps, each from the reference's own state, every scheme: within
  1e-5, but for entries whose code fell on the other side of a rounding boundary. Two
  programs that differ in the last bit of fp32 may round a value that lies at such a
  boundary to neighbouring codes, and no tolerance bounds what follows. They are
  counted.
"""

from collections.abc import Iterator
from typing import NamedTuple

import hypothesis
import jax
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from diamond.dsl.vocabulary import NoCompression, Scheme, phases_of
from diamond.runtime.engines.reference import ReferenceEngine
from tests.compiler.programs import program_of
from tests.conversion import Pair, converted, placed
from tests.schemes import STEPS, catalogue, schemes, task_of, tiny_batch

DRAWN = 20
PARTS = [
    pytest.param(part, marks=[pytest.mark.slow] if part else []) for part in range(10)
]
LARGEST_SHARE = 1e-4


class Count(NamedTuple):
    """How many entries were compared, and how many rounded the other way."""

    entries: int
    flipped: int


def test_catalogue_in_fp64() -> None:
    with jax.enable_x64(True):
        for scheme in catalogue("fp64"):
            _follow(scheme, 1e-10)


def test_catalogue_in_fp32() -> None:
    counts = [_check_fp32(scheme) for scheme in catalogue()]
    _report(counts)


@pytest.mark.parametrize("part", PARTS)
def test_drawn_schemes_in_fp64(part: int) -> None:
    with jax.enable_x64(True):
        for scheme in _drawn(part, "fp64"):
            _follow(scheme, 1e-10)


@pytest.mark.parametrize("part", PARTS)
def test_drawn_schemes_in_fp32(part: int) -> None:
    counts = [_check_fp32(scheme) for scheme in _drawn(part, "fp32")]
    _report(counts)


def _check_fp32(scheme: Scheme) -> Count:
    if _is_unrounded(scheme):
        _follow(scheme, 1e-5)
    return _shadow(scheme, 1e-5)


def _drawn(part: int, precision: str) -> list[Scheme]:
    """Draws the same schemes for the same part, each of them once."""
    found: dict[Scheme, None] = {}

    @hypothesis.seed(part)
    @settings(
        max_examples=DRAWN,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(schemes(precision=precision))
    def draw(scheme: Scheme) -> None:
        found[scheme] = None

    draw()
    return list(found)


def _pair(scheme: Scheme) -> Pair:
    pair = Pair(program_of(scheme), ReferenceEngine(scheme, task_of(scheme)))
    pair.program.certify()
    return pair


def _follow(scheme: Scheme, tolerance: float) -> None:
    """Holds two runs of the same scheme against each other, step for step."""
    pair = _pair(scheme)
    state = pair.program.init(jax.random.key(0))
    truth = pair.engine.init(jax.random.key(0))
    for step in range(STEPS):
        state, metrics = pair.program.step(state, tiny_batch(step))
        truth, expected = pair.engine.step(truth, tiny_batch(step))
        assert (
            np.shape(metrics["loss"]) == np.shape(expected["loss"]) or not scheme.mesh
        )
        for distance, _ in _distances(state.params, converted(pair, truth).params):
            assert distance.max() <= tolerance, (step, scheme)


def _shadow(scheme: Scheme, tolerance: float) -> Count:
    """Takes each step of the reference with the program, from the same state."""
    pair = _pair(scheme)
    truth = pair.engine.init(jax.random.key(0))
    entries = flipped = 0
    for step in range(STEPS):
        state, _ = pair.program.step(placed(pair, truth), tiny_batch(step))
        truth, _ = pair.engine.step(truth, tiny_batch(step))
        for distance, size in _distances(state.params, converted(pair, truth).params):
            entries += size
            flipped += int((distance > tolerance).sum())
    assert flipped == 0 or not _is_unrounded(scheme), scheme
    return Count(entries, flipped)


def _distances(found, expected) -> Iterator[tuple[np.ndarray, int]]:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    for mine, truth in pairs:
        a, b = np.asarray(mine, np.float64), np.asarray(truth, np.float64)
        assert np.isfinite(b).all()
        yield np.abs(a - b) / max(np.abs(b).max(), 1e-30), b.size


def _is_unrounded(scheme: Scheme) -> bool:
    codecs = [
        phase.value
        for replicas in scheme.replicas
        for phase in phases_of(replicas.compression)
    ]
    return all(isinstance(codec, NoCompression) for codec in codecs)


def _report(counts: list[Count]) -> None:
    entries = sum(count.entries for count in counts)
    flipped = sum(count.flipped for count in counts)
    print(f"{len(counts)} schemes: {flipped} of {entries} entries rounded otherwise")
    assert flipped <= LARGEST_SHARE * entries
