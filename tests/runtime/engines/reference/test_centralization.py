"""`parameter_server`, and what `allreduce` may do in place of a mean."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Cast,
    Int8,
    ParameterServer,
    Pipelined,
    Sign,
)
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.centralization import adasum, majority
from diamond.runtime.engines.reference.compression.tables import VECTOR
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    engine_of,
    members,
    run,
    trained,
)

SERVER = ParameterServer()

pytestmark = pytest.mark.usefixtures("x64")


@pytest.mark.parametrize("rule", [On(1).rule, Pipelined(2), Asynchronous(2)])
@pytest.mark.parametrize("shards", [None, 1, 3])
def test_a_parameter_server_is_allreduce(rule, shards):
    served = On(4, rule, who=ParameterServer(shards))
    got = run(served, steps=6, optimizer=ADAM)
    close(got, run(On(4, rule), steps=6, optimizer=ADAM))


def test_of_two_members_it_is_allreduce_with_a_codec_too():
    got = run(On(2, codec=Int8(4), who=SERVER), steps=6)
    close(got, run(On(2, codec=Int8(4)), steps=6))


def test_what_is_pushed_is_encoded_once():
    # 53 values in leaves of 5, 30, 3 and 15 pad to 60, whatever the members.
    hand, e = ByHand(4), [np.zeros(60)] * 4
    encode = VECTOR[Int8].round_trip
    for step in range(6):
        pushed = zip(hand.gradients(step), e, strict=True)
        asked = [_padded(g) + owed for g, owed in pushed]
        given = [encode(Int8(4), p, None) for p in asked]
        e = [p - c for p, c in zip(asked, given, strict=True)]
        hand.update([_stripped(sum(given) / 4)] * 4)
    state = trained(engine_of(On(4, codec=Int8(4), who=SERVER)), 6)
    close(members(state), hand.x)
    close(np.stack([r.worker for r in state.codecs[0][0][0]]), e)
    assert [r.server for r in state.codecs[0][0][0]] == [None] * 4


def _padded(vector):
    pieces = zip(np.split(vector, [5, 35, 38]), (3, 2, 1, 1), strict=True)
    return np.concatenate([np.pad(v, (0, n)) for v, n in pieces])


def _stripped(vector):
    return np.concatenate([vector[:5], vector[8:38], vector[40:43], vector[44:59]])


@pytest.mark.parametrize("backup", [1, 2])
def test_those_who_are_late_are_not_waited_for(backup):
    # With sgd(1) in bowls all are at the mean of the targets of those in time.
    targets = np.array([3.0, 6.0, 12.0, 24.0])
    bowls = Parabola(On(4, who=ParameterServer(backup=backup)), lr=1.0)
    seen, last = bowls.steps(targets, 24), set()
    for count, at in enumerate(seen):
        seed = noise.seed_of(noise.Use.LATENESS, "axis0")
        lots = [int(noise.bits(seed, count, i, 1)[0]) for i in range(4)]
        late = sorted(np.argsort(lots)[4 - backup :])
        assert at == pytest.approx([np.delete(targets, late).mean()] * 4)
        last |= set(late)
    assert last == {0, 1, 2, 3}


def test_the_late_keep_what_they_owe():
    codec = Cast("fp8_e4m3", feedback=True)
    engine = engine_of(On(4, codec=codec, who=ParameterServer(backup=2)))
    state = trained(engine, 8)
    assert all(r.worker.any() for r in state.codecs[0][0][0])


def test_adasum_of_four_is_a_tree():
    rng = np.random.default_rng(0)
    values = [[rng.normal(size=(2, 3)), rng.normal(size=4)] for _ in range(4)]
    got = adasum.combined(values)
    for leaf in range(2):
        a, b, c, d = (v[leaf] for v in values)
        close(got[leaf], _adasum(_adasum(a, b), _adasum(c, d)))
    assert adasum.combined(values[:1]) == values[0]


def _adasum(a, b):
    dot = np.vdot(a, b)
    return a * (1 - dot / (2 * np.vdot(a, a))) + b * (1 - dot / (2 * np.vdot(b, b)))


def test_adasum_adds_what_is_orthogonal_and_keeps_what_is_equal():
    x, y, none = np.array([3.0, 0.0]), np.array([0.0, 4.0]), np.zeros(2)
    assert adasum.adaptive_sum(x, y).tolist() == [3, 4]
    assert adasum.adaptive_sum(x, x).tolist() == [3, 0]
    assert adasum.adaptive_sum(x, none).tolist() == [3, 0]
    assert adasum.adaptive_sum(none, none).tolist() == [0, 0]


def test_adasum_takes_the_place_of_the_mean_of_gradients():
    hand = ByHand(2)
    leaves = (slice(0, 5), slice(5, 35), slice(35, 38), slice(38, 53))
    for step in range(5):
        a, b = hand.gradients(step)
        both = np.concatenate([_adasum(a[leaf], b[leaf]) for leaf in leaves])
        hand.update([both] * 2)
    close(run(On(2, who=AllReduce("adasum")), steps=5), hand.x)


def test_a_majority_by_hand():
    values = [
        [np.array([3.0, -1.0, 0.0, -2.0]), np.array([[1.0]])],
        [np.array([-1.0, -1.0, 0.0, 9.0]), np.array([[4.0]])],
        [np.array([-1.0, 0.0, -4.0, -0.1]), np.array([[-2.0]])],
    ]
    form = Sign(feedback=False, exclude=("out*",))
    vote, mean = majority.elected(form, values, ("bias", "out/w"))
    assert vote.tolist() == [-1, -1, 1, -1]
    assert mean.tolist() == [[pytest.approx(1.0)]]


def test_a_tie_goes_up():
    values = [[np.array([1.0])], [np.array([-1.0])]]
    assert majority.elected(Sign(feedback=False), values, ("w",)) == [np.ones(1)]


def test_a_vote_moves_each_coordinate_by_the_rate():
    who, codec = AllReduce("majority"), Sign(feedback=False)
    hand = ByHand(4)
    for step in range(4):
        g = hand.gradients(step)
        balance = sum(np.where(v >= 0, 1, -1) for v in g)
        hand.update([np.where(balance >= 0, 1.0, -1.0)] * 4)
    close(run(On(4, codec=codec, who=who), steps=4), hand.x)
