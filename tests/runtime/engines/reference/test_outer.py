"""The outer steps of `local`, by hand and by what they equal."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Average, Bmuf, Int8, Local, Nesterov, SlowMo
from diamond.runtime.engines.reference.consistency.outer import outer_step
from tests.runtime.engines.reference.runs import ADAM, On, Parabola, close, run

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize(
    ("outer", "expected"),
    # With targets 4 and 8 and sgd(0.5), d = (a - 6)/2 after one step.
    [
        # d = -3, -1.5, 0;  b = -3, -3, -1.5
        (SlowMo(lr=1.0, momentum=0.5), [3, 6, 7.5]),
        # d = -3, -2.25;  b = -3, -3.75
        (SlowMo(lr=0.5, momentum=0.5), [1.5, 3.375]),
        (Bmuf(lr=0.5, momentum=0.5, nesterov=False), [1.5, 3.375]),
        # momentum 1/2;  d = -3, -0.75;  b = 3, 2.25
        (Bmuf(), [4.5, 4.5 - 1.5 + 2.25 + 1.125]),
        # d = -3, 0.75;  b = 6, 0
        (Bmuf(lr=2.0, momentum=0.25), [7.5, 6]),
    ],
)
def test_on_a_parabola_by_hand(outer, expected):
    seen = Parabola(On(2, Local(1, outer))).steps([4, 8], len(expected))
    assert seen == [[x] * 2 for x in expected]


def test_the_momentum_of_blocks_follows_from_the_number_of_members():
    inferred = run(On(4, Local(2, Bmuf())), steps=8)
    given = run(On(4, Local(2, Bmuf(momentum=0.75))), steps=8)
    np.testing.assert_array_equal(inferred, given)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_slowmo_is_classic_block_momentum(momentum):
    slow = Local(3, SlowMo(lr=1.0, momentum=momentum))
    block = Local(3, Bmuf(lr=1.0, momentum=momentum, nesterov=False))
    got = run(On(2, slow), steps=9, optimizer=ADAM)
    close(got, run(On(2, block), steps=9, optimizer=ADAM))


@pytest.mark.parametrize(
    "outer", [SlowMo(1.0, 0.0), Bmuf(1.0, 0.0), Nesterov(1.0, 0.0)]
)
def test_without_momentum_all_are_average(outer):
    got = run(On(4, Local(2, outer), Int8(8)), steps=8)
    close(got, run(On(4, Local(2), Int8(8)), steps=8))


def test_average_leaves_momentum_alone():
    a, b, d = np.array([3.0]), np.array([7.0]), np.array([1.0])
    assert outer_step(Average(), 2, a, b, d) == (2.0, 7.0)
