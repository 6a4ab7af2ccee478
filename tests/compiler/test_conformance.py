"""Every compiled program against the reference engine, and its certificate.

* fp64, 50 steps side by side, every scheme: within 1e-10;
* fp32, 50 steps side by side, schemes whose values cross unrounded: within 1e-5;
* fp32, 50 single steps from the same state, every scheme, all of the state: within
  1e-5, but for entries that rounded the other way, of which there may be 1 in 100,000,
  and 16 in a scheme: one value and its copies.
"""

from functools import partial

import hypothesis
import jax
import pytest
from hypothesis import HealthCheck, settings

from diamond.dsl.vocabulary import Scheme
from diamond.runtime.engines.reference import ReferenceEngine
from tests.comparison import Count, follow, is_unrounded, shadow
from tests.compiler.programs import program_of
from tests.conversion import Pair
from tests.schemes import (
    STEPS,
    catalogue,
    examples_of,
    schemes,
    task_of,
    tiny_batch,
)

DRAWN = 20
PARTS = [
    pytest.param(part, marks=[pytest.mark.slow] if part else []) for part in range(10)
]
LARGEST_SHARE = 1e-5
MOST_BEYOND = 16


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def test_catalogue_in_fp64() -> None:
    _check_fp64(catalogue("fp64"))


def test_catalogue_in_fp32() -> None:
    _check_fp32(catalogue())


@pytest.mark.parametrize("part", PARTS)
def test_drawn_schemes_in_fp64(part: int) -> None:
    _check_fp64(_drawn(part, "fp64"))


@pytest.mark.parametrize("part", PARTS)
def test_drawn_schemes_in_fp32(part: int) -> None:
    _check_fp32(_drawn(part, "fp32"))


def _check_fp64(chosen: list[Scheme]) -> None:
    with jax.enable_x64(True):
        for scheme in chosen:
            batch_at = partial(tiny_batch, examples=examples_of(scheme))
            follow(_pair(scheme), batch_at, steps=STEPS, tolerance=1e-10)


def _check_fp32(chosen: list[Scheme]) -> None:
    rounded = []
    for scheme in chosen:
        pair = _pair(scheme)
        batch_at = partial(tiny_batch, examples=examples_of(scheme))
        count = shadow(pair, batch_at, steps=STEPS, tolerance=1e-5)
        if is_unrounded(scheme):
            assert count.beyond == 0, scheme
            follow(pair, batch_at, steps=STEPS, tolerance=1e-5)
        else:
            assert count.beyond <= MOST_BEYOND, (count, scheme)
            rounded.append(count)
    _report(rounded)


def _pair(scheme: Scheme) -> Pair:
    """Compiles a scheme; the certificate must hold."""
    pair = Pair(program_of(scheme), ReferenceEngine(scheme, task_of(scheme)))
    pair.program.certify()
    return pair


def _drawn(part: int, precision: str) -> list[Scheme]:
    """Draws the same schemes for the same part, each of them once."""
    found: dict[Scheme, None] = {}

    @hypothesis.seed(part)
    @settings(
        max_examples=2 * DRAWN,
        database=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(schemes(precision=precision))
    def draw(scheme: Scheme) -> None:
        found[scheme] = None

    draw()
    assert len(found) >= DRAWN
    return list(found)[:DRAWN]


def _report(rounded: list[Count]) -> None:
    entries = sum(count.entries for count in rounded)
    beyond = sum(count.beyond for count in rounded)
    print(f"{len(rounded)} schemes: {beyond} of {entries} entries rounded otherwise")
    assert beyond <= LARGEST_SHARE * entries
