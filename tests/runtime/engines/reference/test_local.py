"""`local`: anchors, nesting, and what becomes of the optimizer's state."""

import jax
import numpy as np
import optax
import pytest

from diamond.dsl.vocabulary import (
    AllReduce,
    Average,
    Cast,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Synchronous,
    TopK,
)
from diamond.runtime.engines.reference.centralization.adasum import adaptive_sum
from tests.runtime.engines.reference.runs import (
    ADAM,
    MOMENTUM,
    ByHand,
    On,
    Parabola,
    close,
    engine_of,
    run,
    then,
    trained,
)

SYNC, NONE = Synchronous(), NoCompression()
DILOCO = Nesterov(lr=0.7, momentum=0.9)

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("codec", [NONE, Cast("bf16"), Int8(8), TopK(0.2)])
def test_meeting_every_step_under_sgd_is_synchronous(codec):
    local = run(On(4, Local(1), codec), steps=10)
    sync = run(On(4, SYNC, codec), steps=10)
    # A codec sees -lr * g in place of g. A cast keeps its relative error under a
    # scale of 2, so does a float32 scale; the rate here is no power of two.
    close(local, sync, 2e-3 if isinstance(codec, Cast | Int8) else 1e-12)


@pytest.mark.parametrize("codec", [NONE, Int8(8)])
def test_nesterov_without_momentum_is_average(codec):
    outer = Nesterov(lr=1.0, momentum=0.0)
    nesterov = run(On(4, Local(3, outer), codec), steps=12, optimizer=ADAM)
    average = run(On(4, Local(3), codec), steps=12, optimizer=ADAM)
    close(nesterov, average)


def test_diloco_on_a_parabola_by_hand():
    # Members at targets 4 and 8, loss (w - target)**2 / 2, sgd(0.5), from w = 0.
    #   steps 1, 2: 0 -> 2 -> 3 and 0 -> 4 -> 6;  d = 0 - 4.5 = -4.5
    #   b = -4.5;      w = 0 + 0.5 * (4.5 + 0.5 * 4.5) = 3.375
    #   steps 3, 4: 3.375 -> 3.6875 -> 3.84375 and 3.375 -> 5.6875 -> 6.84375
    #   d = 3.375 - 5.34375 = -1.96875;  b = -2.25 - 1.96875 = -4.21875
    #   w = 3.375 + 0.5 * (1.96875 + 0.5 * 4.21875) = 5.4140625
    bowls = Parabola(On(2, Local(every=2, outer=Nesterov(lr=0.5, momentum=0.5))))
    seen = bowls.steps([4, 8], 4)
    assert seen == [[2, 4], [3.375] * 2, [3.6875, 5.6875], [5.4140625] * 2]
    expected = [(3.6875 - 4) ** 2 / 2, (5.6875 - 8) ** 2 / 2]
    assert bowls.metrics["loss"].tolist() == expected


def test_tight_inside_loose_is_a_double_loop():
    hand = ByHand(4, ADAM)
    anchor, b = hand.x[0], 0.0
    for step in range(9):
        g = hand.gradients(step)
        hand.update([(g[0] + g[1]) / 2] * 2 + [(g[2] + g[3]) / 2] * 2)
        if step % 3 == 2:
            d = anchor - (hand.x[0] + hand.x[2]) / 2
            b = 0.9 * b + d
            anchor = anchor - 0.7 * (d + 0.9 * b)
            hand.x = [anchor] * 4
    close(run(On(2, Local(3, DILOCO)), On(2), steps=9, optimizer=ADAM), hand.x)


def test_loose_inside_loose_is_a_double_loop():
    hand = ByHand(4)
    inner, outer = [hand.x[0]] * 2, hand.x[0]
    inner_b, outer_b = [0.0, 0.0], 0.0
    for step in range(8):
        hand.update(hand.gradients(step))
        if step % 2 == 1:
            for pair in (0, 1):
                d = inner[pair] - (hand.x[2 * pair] + hand.x[2 * pair + 1]) / 2
                inner_b[pair] = 0.5 * inner_b[pair] + d
                inner[pair] = inner[pair] - 0.8 * (d + 0.5 * inner_b[pair])
                hand.x[2 * pair] = hand.x[2 * pair + 1] = inner[pair]
        if step % 4 == 3:
            d = outer - (hand.x[0] + hand.x[2]) / 2
            outer_b = 0.9 * outer_b + d
            outer = outer - 0.7 * (d + 0.9 * outer_b)
            hand.x, inner = [outer] * 4, [outer] * 2
    inside = Local(2, Nesterov(lr=0.8, momentum=0.5))
    close(run(On(2, Local(4, DILOCO)), On(2, inside), steps=8), hand.x)


def test_synchronous_for_some_steps_then_local():
    hand = ByHand(2)
    anchor, b = None, 0.0
    for step in range(9):
        g = hand.gradients(step)
        if step == 3:
            anchor = hand.x[0]
        hand.update([(g[0] + g[1]) / 2] * 2 if step < 3 else g)
        if step in (4, 6, 8):
            d = anchor - (hand.x[0] + hand.x[1]) / 2
            b = 0.9 * b + d
            anchor = anchor - 0.7 * (d + 0.9 * b)
            hand.x = [anchor] * 2
    close(run(On(2, then(SYNC, 3, Local(2, DILOCO))), steps=9), hand.x)


def test_kept_states_stay_apart_and_averaged_ones_do_not():
    bowls = {
        state: Parabola(On(2, Local(2, Average(), state)), optimizer=optax.adam(0.5))
        for state in ("keep", "average", "reset")
    }
    moments = {}
    for state, bowl in bowls.items():
        bowl.steps([4, -6], 2)
        moments[state] = [
            (int(o[0].count), float(o[0].mu["w"][0])) for o in bowl.state.optimizer
        ]
    (_, first), (_, second) = moments["keep"]
    assert first < 0 < second
    assert moments["average"] == [(2, pytest.approx((first + second) / 2))] * 2
    assert moments["reset"] == [(0, 0.0)] * 2


def test_a_state_is_averaged_only_at_meetings():
    bowls = Parabola(On(2, Local(2, Average(), "average")), optimizer=optax.adam(0.5))
    bowls.steps([4, -6], 1)
    first, second = (float(o[0].mu["w"][0]) for o in bowls.state.optimizer)
    assert first != second


def test_averaging_states_over_one_axis_leaves_the_other_alone():
    outer = On(2, Local(4))
    inner = On(2, Local(2, Average(), "average"))
    state = trained(engine_of(outer, inner, optimizer=MOMENTUM), 2)
    traces = [jax.tree.leaves(o)[0] for o in state.optimizer]
    np.testing.assert_array_equal(traces[0], traces[1])
    np.testing.assert_array_equal(traces[2], traces[3])
    assert (traces[0] != traces[2]).any()


def test_averaged_momentum_and_parameters_are_synchronous_momentum():
    averaged = Local(1, Average(), "average")
    got = run(On(4, averaged), steps=8, optimizer=MOMENTUM)
    close(got, run(On(4), steps=8, optimizer=MOMENTUM))


def test_adasum_is_of_the_ways_not_of_the_parameters():
    hand, anchor = ByHand(2), None
    for step in range(6):
        anchor = hand.x[0] if anchor is None else anchor
        hand.update(hand.gradients(step))
        if step % 2 == 1:
            first, second = (np.split(anchor - x, [5, 35, 38]) for x in hand.x)
            ways = zip(first, second, strict=True)
            anchor = anchor - np.concatenate([adaptive_sum(a, b) for a, b in ways])
            hand.x = [anchor] * 2
    close(run(On(2, Local(2), who=AllReduce("adasum")), steps=6), hand.x)
