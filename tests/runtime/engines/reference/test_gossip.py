"""`gossip`: parameters are mixed with those of peers."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    AllReduce,
    Cast,
    Gossip,
    Int8,
    Local,
    NoCompression,
    Qsgd,
)
from diamond.runtime.engines.reference.centralization import gossip
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    run,
    then,
)

COMPLETE = Gossip("complete")
CODECS = (Cast(), Int8(8, feedback=False), Qsgd(bits=4, bucket=8))

pytestmark = pytest.mark.usefixtures("x64")


def mixed(who, start, num, codec=None):
    """Returns where members that do not train are after some mixings."""
    axis = On(len(start), codec=codec or NoCompression(), who=who)
    still = Parabola(axis, lr=0.0)
    still.seen = still.steps([0] * len(start), num, still.at(start, step=0))
    return still


def test_complete_under_sgd_is_allreduce():
    close(run(On(4, who=COMPLETE), steps=8), run(On(4), steps=8))
    every = On(4, Local(3), who=COMPLETE)
    close(
        run(every, steps=9, optimizer=ADAM),
        run(On(4, Local(3)), steps=9, optimizer=ADAM),
    )


@pytest.mark.parametrize("size", [2, 4, 8])
def test_a_hypercube_reaches_the_mean(size):
    start = np.random.default_rng(0).normal(size=size)
    dims = size.bit_length() - 1
    seen = mixed(Gossip("hypercube"), start, dims).seen
    close(seen[-1], [start.mean()] * size)
    assert all(np.ptp(x) > 1e-3 for x in seen[:-1])


def test_a_ring_by_hand():
    assert mixed(Gossip("ring"), [3, 6, 0, 9], 1).seen == [pytest.approx([6, 3, 5, 4])]
    assert mixed(Gossip("ring"), [3, 6], 1).seen == [[4.5, 4.5]]


def test_it_mixes_after_the_update_and_when_it_is_due():
    hand = ByHand(4)
    peers = [[3, 0, 1, 2], [2, 3, 0, 1]]
    for step in range(8):
        g = hand.gradients(step)
        hand.update([sum(g) / 4] * 4 if step < 2 else g)
        if step in (4, 7):
            heard = peers[(4, 7).index(step)]
            hand.x = [(hand.x[i] + hand.x[heard[i]]) / 2 for i in range(4)]
    # Mixings are counted from the beginning of the clause; the rule is older here.
    who = then(AllReduce(), 2, Gossip("exponential"))
    rule = Local(3)
    tight = run(On(4, then(On(4).rule, 2, rule), who=who), steps=8)
    close(tight, hand.x)


def test_groups_of_other_axes_mix_among_themselves():
    hand = ByHand(4)
    for step in range(3):
        g = hand.gradients(step)
        hand.update([(g[0] + g[1]) / 2] * 2 + [(g[2] + g[3]) / 2] * 2)
        hand.x = [(hand.x[i] + hand.x[(i + 2) % 4]) / 2 for i in range(4)]
    close(run(On(2, who=Gossip("pairs")), On(2), steps=3), hand.x)


@pytest.mark.parametrize("topology", ["complete", "ring", "exponential", "pairs"])
@pytest.mark.parametrize("codec", CODECS)
def test_a_codec_conserves_the_mean(topology, codec):
    start = np.random.default_rng(1).normal(size=6)
    seen = mixed(Gossip(topology), start, 7, codec).seen
    close([np.mean(x) for x in seen], [start.mean()] * 7)
    assert np.ptp(seen[-1]) < np.ptp(start)


def test_a_codec_by_hand():
    # In fp8_e4m3 1.0625 crosses as 1, and 2 and 3 as they are.
    codec = Cast("fp8_e4m3")
    (ring,) = mixed(Gossip("ring"), [1.0625, 2, 3], 1, codec).seen
    assert ring == pytest.approx([1.0625 + 5 / 3 - 2 / 3, 2, 3 + 3 / 3 - 6 / 3])
    (complete,) = mixed(COMPLETE, [1.0625, 2, 3], 1, codec).seen
    assert complete == pytest.approx([2.0625, 2, 2])


def test_what_is_excluded_crosses_as_it_is():
    codec = Cast("fp8_e4m3", exclude=("w",))
    assert mixed(Gossip("ring"), [1.0625, 2], 1, codec).seen == [[1.53125] * 2]


def test_one_member_stays_where_it_is():
    for push_sum in (False, True):
        who = Gossip("exponential", push_sum)
        np.testing.assert_array_equal(run(On(1, who=who), steps=3), run(steps=3))


@pytest.mark.parametrize("codec", [NoCompression(), Int8(8, feedback=False)])
def test_push_sum_reaches_the_mean_on_a_chain(codec):
    start = [4, 0, 1, 7, -2]
    run = mixed(Gossip("chain", push_sum=True), start, 120, codec)
    tolerance = 1e-6 if codec == NoCompression() else 0.1
    assert run.seen[-1] == pytest.approx([2] * 5, abs=tolerance)
    weights = [float(p.weight) for p in run.state.push_sums[0][0]]
    assert sum(weights) == pytest.approx(5)
    assert weights == pytest.approx([5 * d / 13 for d in (2, 3, 3, 3, 2)], abs=1e-6)


def test_mixing_with_such_weights_alone_does_not():
    x = [[np.array([v])] for v in (4.0, 0.0, 1.0, 7.0, -2.0)]
    for number in range(120):
        x = gossip.mixture(Gossip("chain"), NoCompression(), x, x, number)
    ends = [float(leaf[0]) for (leaf,) in x]
    assert sum(ends) == pytest.approx(10)
    assert ends == pytest.approx([10 * d / 13 for d in (2, 3, 3, 3, 2)], abs=1e-6)


def test_push_sum_is_plain_where_nothing_needs_it():
    pushed = run(On(4, who=Gossip("exponential", push_sum=True)), steps=8)
    close(pushed, run(On(4, who=Gossip("exponential")), steps=8))


def test_push_sum_on_a_chain_of_two_by_hand():
    # Gradients -4 and -8 at 0, sgd(0.5): x = 2 and 4, y = 3 and 3, omega = 1 and 1.
    bowls = Parabola(On(2, who=Gossip("chain", push_sum=True)))
    assert bowls.steps([4, 8], 2) == [[3, 3], [4.5, 4.5]]


def test_push_sum_on_a_chain_of_three_by_hand():
    # After the update x = 1, 2, 4 and y = x; then y = 1/2 + 2/3, 1/2 + 2/3 + 4/2 and
    # 2/3 + 4/2, omega = 5/6, 4/3, 5/6.
    bowls = Parabola(On(3, who=Gossip("chain", push_sum=True)))
    ((first, second, third),) = bowls.steps([2, 4, 8], 1)
    y, omega = (7 / 6, 19 / 6, 8 / 3), (5 / 6, 4 / 3, 5 / 6)
    assert (first, second, third) == pytest.approx(_shares(y, omega))
    (after,) = bowls.steps([first, second, third], 1, bowls.state)
    again = [y[0] / 2 + y[1] / 3, y[0] / 2 + y[1] / 3 + y[2] / 2, y[1] / 3 + y[2] / 2]
    weights = [5 / 12 + 4 / 9, 5 / 6 + 4 / 9, 5 / 12 + 4 / 9]
    assert after == pytest.approx(_shares(again, weights))


def _shares(y, omega):
    return [a / b for a, b in zip(y, omega, strict=True)]
