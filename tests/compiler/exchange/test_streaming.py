"""Streaming: local steps whose means land late and are merged."""

import numpy as np
import pytest

from diamond.compiler.exchange.consistency.local import local
from diamond.compiler.exchange.consistency.streaming import streaming
from diamond.compiler.exchange.outer.average import average
from diamond.compiler.exchange.outer.nesterov import nesterov
from tests.compiler.exchange.training import LR, START, gradient, trained

OUTERS = {"average": average(), "nesterov": nesterov(lr=0.7, momentum=0.5)}
each_outer = pytest.mark.parametrize("outer", OUTERS.values(), ids=OUTERS.keys())


def _streaming(**arguments):
    return lambda wire: streaming(**arguments)


@pytest.mark.parametrize("delay", [0, 1, 2])
@pytest.mark.parametrize("merge", [0.0, 0.25])
def test_a_mean_lands_late_and_is_merged(delay, merge) -> None:
    outer = nesterov(lr=0.7, momentum=0.5)
    found = trained(_streaming(every=3, outer=outer, delay=delay, merge=merge))
    x, anchor, speed, moved = np.stack([START] * 4), START, 0 * START, 0 * START
    for step, copies in enumerate(found.x):
        x = np.stack([x[i] - LR * gradient(x[i], step, i) for i in range(4)])
        if (step + 1) % 3 == 0:
            moved = (anchor - x).mean(0)
        if step >= 2 + delay and (step - 2 - delay) % 3 == 0:
            speed = 0.5 * speed + moved
            anchor = anchor - 0.7 * (moved + 0.5 * speed)
            x = merge * x + (1 - merge) * anchor
        np.testing.assert_allclose(copies, x, rtol=1e-4, atol=1e-5)
    kept = [np.asarray(leaf).reshape(4, -1) for leaf in found.rule.anchor]
    np.testing.assert_allclose(np.hstack(kept)[0], anchor, rtol=1e-4, atol=1e-5)


@each_outer
def test_at_once_and_unmerged_it_is_local(outer) -> None:
    found = trained(_streaming(every=3, outer=outer))
    plain = trained(lambda wire: local(every=3, outer=outer, is_exact=False))
    np.testing.assert_array_equal(found.x, plain.x)


def test_the_anchor_is_the_outer_parameters_and_not_the_copies() -> None:
    found = trained(_streaming(every=2, outer=average(), merge=0.5), steps=2)
    anchor = np.hstack([np.asarray(a).reshape(4, -1) for a in found.rule.anchor])
    assert (anchor == anchor[:1]).all()
    mean = found.x[-1].mean(0)
    np.testing.assert_allclose(anchor[0], mean, rtol=1e-5)
    assert np.abs(found.x[-1] - mean).max() > 0.01


def test_merged_with_nothing_the_copies_never_move() -> None:
    found = trained(_streaming(every=2, outer=average(), delay=1, merge=1.0), steps=6)
    for member in range(4):
        x = START
        for step in range(6):
            x = x - LR * gradient(x, step, member)
        np.testing.assert_allclose(found.x[-1, member], x, rtol=1e-5)


def test_it_says_what_lands_when() -> None:
    rule = streaming(every=6, outer=average(), delay=2, merge=0.25)
    assert rule.equations == (
        "d = mean[a - x]",
        "2 steps later, with this d:",
        "a <- a - d",
        "x <- 0.25 x + 0.75 a",
    )
