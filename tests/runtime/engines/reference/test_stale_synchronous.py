"""Delays of virtual clocks, and `stale_synchronous`."""

from collections import Counter

import numpy as np
import pytest

from diamond.dsl.vocabulary import Delays, Int8, StaleSynchronous, Synchronous
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.consistency import delays
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    engine_of,
    run,
    then,
)

CONSTANT = Delays("constant", mean=1.0)

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("law", "bound", "expected"),
    [
        (Delays("uniform", mean=1.5), 9, [1 / 4, 2 / 4, 3 / 4]),
        (Delays("uniform", mean=1.5), 2, [1 / 4, 2 / 4]),
        (Delays("uniform", mean=0.2), 9, []),
        (Delays("geometric", mean=1.0), 3, [1 / 2, 3 / 4, 7 / 8]),
        (Delays("geometric", mean=0.0), 2, [1, 1]),
        (Delays("constant", mean=2.0), 9, [0, 0]),
        (Delays("constant", mean=2.5), 9, [0, 0]),
        (Delays("constant", mean=5.0), 3, [0, 0, 0]),
        (Delays(), 0, []),
    ],
)
def test_thresholds_by_hand(law, bound, expected):
    assert delays.thresholds(law, bound).tolist() == expected


@pytest.mark.parametrize(
    ("law", "shares"),
    [
        (Delays("uniform", mean=1.0), {0: 1 / 3, 1: 1 / 3, 2: 1 / 3}),
        (Delays("uniform", mean=3.0, seed=7), {0: 1 / 7, 1: 1 / 7, 2: 1 / 7, 3: 4 / 7}),
        (Delays("geometric", mean=1.0), {0: 1 / 2, 1: 1 / 4, 2: 1 / 8, 3: 1 / 8}),
        (Delays("constant", mean=2.0), {2: 1.0}),
    ],
)
def test_delays_are_as_frequent_as_the_law_says(law, shares):
    (axis,) = engine_of(On(4)).axes
    drawn = [d for age in range(1500) for d in delays.drawn(law, 3, axis, age)]
    assert {d: n / 6000 for d, n in Counter(drawn).items()} == pytest.approx(
        shares, abs=0.025
    )


def test_members_of_one_place_share_a_clock_and_seeds_change_it():
    outer, _ = engine_of(On(4), On(2)).axes
    law = Delays("uniform", mean=3.0)
    seen = [delays.drawn(law, 6, outer, age) for age in range(20)]
    assert all(d[::2] == d[1::2] for d in seen)
    assert any(len(set(d)) > 1 for d in seen)
    other = Delays("uniform", mean=3.0, seed=1)
    assert seen != [delays.drawn(other, 6, outer, age) for age in range(20)]


@pytest.mark.parametrize("codec", [Int8(8)])
def test_without_delay_it_is_synchronous(codec):
    for size in (1, 4):
        stale = On(size, StaleSynchronous(bound=0), codec)
        got = run(stale, steps=6, optimizer=ADAM)
        close(got, run(On(size, codec=codec), steps=6, optimizer=ADAM))


def test_on_a_parabola_by_hand():
    # Both send at steps 0 and 2, and wait at step 1, where each sees its own half:
    #   0: -6;  1: -1/2 and -5/2;  2: r = -1.75 and -8.75, so
    #   -5.25 + (-0.75 + 1.75)/2 and -5.25 + (-3.75 + 8.75)/2
    rule = StaleSynchronous(bound=1, delays=CONSTANT)
    bowls = Parabola(On(2, rule))
    assert bowls.steps([4, 8], 3) == [[3] * 2, [3.25, 4.25], [5.625] * 2]
    assert [int(held.wait) for held in bowls.state.rules[0][0]] == [1, 1]
    assert [held.pending.tolist() for held in bowls.state.rules[0][0]] == [[0.0]] * 2


def test_drawn_delays_are_a_loop():
    hand, pending, wait = ByHand(4), [0.0] * 4, [0] * 4
    for step in range(12):
        g = hand.gradients(step)
        if step < 2:
            hand.update([sum(g) / 4] * 4)
            continue
        arrived = []
        for i in range(4):
            pending[i] = pending[i] + g[i]
            if wait[i] == 0:
                arrived.append(pending[i])
                pending[i], wait[i] = 0.0, _delay(step - 2, i)
            else:
                arrived.append(np.zeros(53))
                wait[i] -= 1
        mean = sum(arrived) / 4
        hand.update([mean + (g[i] - arrived[i]) / 4 for i in range(4)])
    rule = StaleSynchronous(bound=2, delays=Delays("uniform", mean=2.0, seed=3))
    close(run(On(4, then(Synchronous(), 2, rule)), steps=12), hand.x)


def _delay(age, place):
    """Delays 0 to 4 are equally likely, and at most 2."""
    seed = noise.seed_of(noise.Use.DELAYS, "axis0", seed=3)
    u = noise.uniform(seed, age, place, 1)[0]
    return min(2, int(u * 5))
