"""Stale synchronous: what a copy sends late, and what it sees of its own at once."""

import numpy as np
import pytest

from diamond.compiler.exchange.consistency.stale_synchronous import stale_synchronous
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.delays import law_of
from tests.compiler.exchange.test_delays import delays_of
from tests.compiler.exchange.training import LR, SIZE, START, gradient, trained

LAW = law_of(law="uniform", mean=2.0, seed=1, most=3)


def _stale(law):
    return lambda wire: stale_synchronous(delays=law, wire=wire)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_copies_send_late_what_they_gathered(size) -> None:
    found = trained(_stale(LAW), size=size)
    drawn = delays_of(LAW, size, len(found.x))
    x = np.stack([START] * size)
    pending, wait = np.zeros((size, SIZE)), np.zeros(size, int)
    for step, copies in enumerate(found.x):
        g = np.stack([gradient(x[i], step, i) for i in range(size)])
        pending, sends = pending + g, (wait == 0)[:, None]
        sent, pending = np.where(sends, pending, 0), np.where(sends, 0, pending)
        wait = np.where(wait == 0, drawn[step], wait - 1)
        x = x - LR * (sent.mean(0) + (g - sent) / size)
        np.testing.assert_allclose(copies, x, rtol=1e-5, atol=1e-6)
    assert found.rule.wait.tolist() == wait.tolist()
    kept = [np.asarray(leaf).reshape(size, -1) for leaf in found.rule.gradients]
    np.testing.assert_allclose(np.hstack(kept), pending, rtol=1e-5, atol=1e-5)


def test_copies_differ_and_none_is_silent_for_longer_than_the_bound() -> None:
    found = trained(_stale(LAW), steps=24)
    assert not np.allclose(found.x[:, 0], found.x[:, 1], atol=1e-3)
    assert (found.rule.wait <= 3).all()


def test_a_bound_of_zero_is_synchronous() -> None:
    never = law_of(law="uniform", mean=2.0, seed=1, most=0)
    late, tight = trained(_stale(never)), trained(lambda wire: synchronous())
    np.testing.assert_array_equal(late.x, tight.x)


def test_all_that_was_computed_is_sent_or_waits() -> None:
    """Under plain sums no gradient is lost: the copies' mean moves by all sent."""
    found = trained(_stale(LAW), steps=10)
    x, total = np.stack([START] * 4), np.zeros(SIZE)
    for step, copies in enumerate(found.x):
        total += np.mean([gradient(x[i], step, i) for i in range(4)], axis=0)
        x = copies
    waiting = np.hstack([np.asarray(p).reshape(4, -1) for p in found.rule.gradients])
    # A copy saw 1/4 of its own gradients; of the others', all that was sent.
    moved = (START - x.mean(0)) / LR
    unseen = waiting.mean(0) * 3 / 4
    np.testing.assert_allclose(moved, total - unseen, rtol=1e-4, atol=1e-5)
