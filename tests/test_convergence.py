"""Every rule, centralization and codec trains the digits as synchronous SGD does."""

import functools
import warnings

import jax
import pytest

from benchmarks.convergence import BASELINES, CASES, Case, accuracy

pytestmark = pytest.mark.slow
MOST_LOST = 1.0


@functools.cache
def _baseline(optimizer: str) -> float:
    [case] = [each for each in BASELINES if each.optimizer == optimizer]
    return accuracy(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_loses_a_point_at_most(case: Case) -> None:
    known = {each.optimizer for each in BASELINES}
    optimizer = case.optimizer if case.optimizer in known else BASELINES[0].optimizer
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = accuracy(case)
    jax.clear_caches()
    assert found >= _baseline(optimizer) - MOST_LOST
