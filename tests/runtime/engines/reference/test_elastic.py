"""`elastic`: copies and a centre."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Cast, Elastic, Local, Synchronous
from diamond.runtime.engines.reference.consistency.elastic import Centre
from tests.runtime.engines.reference.runs import (
    ByHand,
    On,
    Parabola,
    close,
    run,
    then,
)

pytestmark = pytest.mark.usefixtures("x64")


def test_on_a_parabola_by_hand():
    # Targets 4 and 8, sgd(0.5), rho = 0.5, so each pull is a quarter.
    #   0 -> 2 and 0 -> 4, m = 3:  1.5 and 3;  c = 1.5
    #   -> 2.75 and 5.5, m = 2.625:  2.75 - 0.3125 and 5.5 - 1;  c = 2.8125
    bowls = Parabola(On(2, Elastic(every=1, rho=0.5)))
    assert bowls.steps([4, 8], 2) == [[1.5, 3], [2.4375, 4.5]]
    assert [held.centre.tolist() for held in bowls.state.rules[0][0]] == [[2.8125]] * 2


@pytest.mark.parametrize("rho", [0.3, 1.0, 2.5])
def test_the_sum_of_copies_and_centre_is_conserved(rho):
    bowls = Parabola(On(3, Elastic(every=1, rho=rho)), lr=0.0)
    centres = tuple(Centre(np.array([5.0]), False) for _ in range(3))
    seen = bowls.steps([0, 0, 0], 4, bowls.at([1, 2, -4], rules=((centres,),)))
    assert seen[0] != [1, 2, -4]
    assert sum(seen[-1]) + bowls.state.rules[0][0][0].centre[0] == pytest.approx(4)


def test_the_centre_begins_where_the_copies_are_and_pulls_when_due():
    hand, centre = ByHand(2), None
    for step in range(9):
        g = hand.gradients(step)
        if step == 2:
            centre = hand.x[0]
        hand.update([(g[0] + g[1]) / 2] * 2 if step < 2 else g)
        if step in (4, 7):
            ways = [x - centre for x in hand.x]
            hand.x = [x - 0.45 * way for x, way in zip(hand.x, ways, strict=True)]
            centre = centre + 0.9 * (ways[0] + ways[1]) / 2
    close(run(On(2, then(Synchronous(), 2, Elastic(every=3))), steps=9), hand.x)


def test_what_crosses_is_the_way_from_the_centre():
    codec = Cast("fp8_e4m3")
    bowls = Parabola(On(2, Elastic(every=1, rho=1.0), codec), lr=0.0)
    centres = (Centre(np.array([5.0]), False),) * 2
    state = bowls.at([6.0625, 5], rules=((centres,),))
    # The way 1.0625 crosses as 1; the member itself is pulled by the way as it is.
    assert bowls.steps([0, 0], 1, state) == [[5.53125, 5]]
    assert bowls.state.rules[0][0][0].centre.tolist() == [5.5]


def test_the_centre_follows_what_an_axis_outside_did():
    hand, centres = ByHand(4), None
    for step in range(8):
        centres = centres or list(hand.x)
        hand.update(hand.gradients(step))
        x = hand.x
        if step % 2 == 0:
            continue
        for pair in ((0, 1), (2, 3)):
            mean = sum(x[i] for i in pair) / 2
            for i in pair:
                c = mean if step == 5 else centres[i]
                x[i] = x[i] - 0.45 * (x[i] - c)
                centres[i] = c + 0.9 * (mean - c)
        if step % 4 == 3:
            hand.x = [(x[i % 2] + x[i % 2 + 2]) / 2 for i in range(4)]
    close(run(On(2, Local(every=4)), On(2, Elastic(every=2)), steps=8), hand.x)
