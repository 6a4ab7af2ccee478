"""Elastic: copies and a centre that pull at each other."""

import numpy as np
import pytest

from diamond.compiler.exchange.consistency.elastic import elastic
from tests.compiler.exchange.training import LR, START, gradient, trained


def _elastic(every, rho):
    return lambda wire: elastic(every=every, rho=rho, wire=wire)


def _centre(found):
    leaves = [np.asarray(leaf).reshape(len(leaf), -1) for leaf in found.rule.centre]
    return np.hstack(leaves)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("every", [1, 3])
def test_copies_and_centre_pull_at_each_other(size, every) -> None:
    found = trained(_elastic(every, 0.6), size=size)
    x, centre = np.stack([START] * size), START
    for step, copies in enumerate(found.x):
        x = np.stack([x[i] - LR * gradient(x[i], step, i) for i in range(size)])
        if (step + 1) % every == 0:
            away = x - centre
            x, centre = x - 0.6 / size * away, centre + 0.6 * away.mean(0)
        np.testing.assert_allclose(copies, x, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(_centre(found), np.stack([centre] * size), atol=1e-5)


def test_a_pull_conserves_the_sum_of_copies_and_centre() -> None:
    before, after = (trained(_elastic(4, 0.9), steps=n) for n in (3, 4))
    x = before.x[-1]
    x = np.stack([x[i] - LR * gradient(x[i], 3, i) for i in range(4)])
    total = x.sum(0) + _centre(before)[0]
    np.testing.assert_allclose(
        after.x[-1].sum(0) + _centre(after)[0], total, rtol=1e-5, atol=1e-5
    )
    assert np.abs(_centre(after)[0] - START).max() > 0.1


def test_without_a_pull_the_copies_are_alone() -> None:
    found = trained(_elastic(1, 0.0), steps=4)
    x = START
    for step in range(4):
        x = x - LR * gradient(x, step, 2)
    np.testing.assert_allclose(found.x[-1, 2], x, rtol=1e-5)
    np.testing.assert_array_equal(_centre(found)[0], START)
