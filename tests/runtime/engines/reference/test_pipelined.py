"""`pipelined`: the means of some steps ago."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Int8, Pipelined, Synchronous
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    run,
    then,
)

pytestmark = pytest.mark.usefixtures("x64")


def test_on_a_parabola_by_hand():
    # Means of the gradients: -6, -6, -6, -3, ... and two zeros before them.
    seen = Parabola(On(2, Pipelined(delay=2))).steps([4, 8], 6)
    assert seen == [[x] * 2 for x in (0, 0, 3, 6, 9, 10.5)]


@pytest.mark.parametrize("delay", [1, 3])
def test_where_gradients_are_constant_it_is_synchronous_later(delay):
    shifted = Parabola(On(4, Pipelined(delay)), curvature=0).steps([1, 2, 3, 6], 9)
    plain = Parabola(On(4), curvature=0).steps([1, 2, 3, 6], 9)
    assert shifted[:delay] == [[0.0] * 4] * delay
    assert shifted[delay:] == plain[: 9 - delay]


def test_it_begins_with_zeros_whenever_it_begins():
    hand, means = ByHand(2, ADAM), [np.zeros(53)] * 2
    for step in range(8):
        g = hand.gradients(step)
        means.append((g[0] + g[1]) / 2)
        if step < 3:
            hand.update([means[-1]] * 2)
        if step == 3:
            means = [np.zeros(53), np.zeros(53), means[-1]]
        if step >= 3:
            hand.update([means[-3]] * 2)
    rule = then(Synchronous(), 3, Pipelined(delay=2))
    close(run(On(2, rule), steps=8, optimizer=ADAM), hand.x)


def test_what_waits_was_encoded_when_it_was_sent():
    late = Parabola(On(2, Pipelined(1), Int8(4)), curvature=0).steps([1, 2], 4)
    now = Parabola(On(2, codec=Int8(4)), curvature=0).steps([1, 2], 3)
    assert late == [[0.0] * 2, *now]
