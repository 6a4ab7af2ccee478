"""The mean of vector codecs: gathered, in two phases, and as a push."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Cast, Int4, Int8, NoCompression, Qsgd, Sign
from diamond.runtime.engines.reference import compression, noise
from diamond.runtime.engines.reference.compression import int8, qsgd, sign
from diamond.runtime.engines.reference.compression.coded import Residual
from diamond.runtime.engines.reference.compression.tables import VECTOR
from diamond.runtime.engines.reference.meeting import Meeting
from tests.runtime.engines.reference.exchanges import (
    Exchange,
    mean_once,
    members,
    plain,
    size_of,
)

FED = [
    Int8(block=4),
    Int4(block=4),
    Sign(block=8),
    Cast(to="fp8_e4m3", feedback=True),
]
BARE = [Int8(block=4, feedback=False), Qsgd(bits=8, bucket=4), Cast()]
SEED = noise.seed_of(noise.Use.ROUNDING, "site")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("term", [NoCompression(), *FED, *BARE])
def test_shapes_and_type_are_kept_and_the_mean_is_near(term, num, dtype):
    values = members(num, (), (3,), (5, 2), dtype=dtype)
    got = mean_once(term, values)
    assert [leaf.shape for leaf in got] == [(), (3,), (5, 2)]
    assert all(leaf.dtype == dtype for leaf in got)
    lost = size_of([a - b for a, b in zip(got, plain(values), strict=True)])
    assert lost < size_of(plain(values)) + 1


@pytest.mark.parametrize("num", [1, 2, 3])
@pytest.mark.parametrize("term", FED)
def test_what_was_sent_and_what_is_owed_are_all_there_was(term, num):
    """The means so far and what is owed add up to the plain means so far."""
    exchange = Exchange(term, members(1, (3,), (5, 3))[0], num)
    given, wanted = np.zeros((5, 3)), np.zeros((5, 3))
    for step in range(6):
        values = members(num, (3,), (5, 3), seed=step)
        given, wanted = given + exchange(values)[1], wanted + plain(values)[1]
    owed = np.mean([state.worker for state in exchange.states], axis=0)
    if num > 2:
        owed = owed + np.concatenate([state.server for state in exchange.states])
    block = VECTOR[type(term)].block_of(term)
    first = 0 if isinstance(term, Sign) else 3 + -3 % block  # signs have no 1-d leaf
    assert given + owed[first : first + 15].reshape(5, 3) == pytest.approx(wanted)


def test_one_sign_mean_in_two_phases_by_hand():
    """Three members, one block of 8 each way; all that is left over is padding."""
    term = Sign(block=8, feedback=True)
    v = np.array([[1.0] * 8, [2.0] * 8, [-3.0] * 8]).reshape(3, 2, 4)
    exchange = Exchange(term, [v[0]], 3)
    assert [s.worker.size for s in exchange.states] == [24] * 3
    assert [s.server.size for s in exchange.states] == [8] * 3
    assert (exchange([[x] for x in v])[0] == 0).all()
    uneven = [np.array([[4.0, 0, 0, 0], [0, 0, 0, -4.0]])] * 3
    got = exchange([[x] for x in uneven])[0]
    assert got.tolist() == [[1, 1, 1, 1], [1, 1, 1, -1]]
    assert exchange.states[2].worker[:8].tolist() == [3, -1, -1, -1, -1, -1, -1, -3]
    assert (exchange.states[0].server == 0).all()


def test_the_server_encodes_what_it_averages_once_more():
    values = members(3, (4, 4), seed=3)
    term = Int8(block=4, feedback=False)
    padded = [np.pad(v[0].ravel(), (0, 8)) for v in values]
    sent = [int8.round_trip(term, p, np.zeros) for p in padded]
    mean = (sent[0] + sent[1] + sent[2]) * (1 / 3)
    want = int8.round_trip(term, mean, np.zeros)[:16].reshape(4, 4)
    assert (mean_once(term, values)[0] == want).all()


def test_workers_and_servers_draw_lots_of_their_own():
    term, values = Qsgd(bits=2, bucket=4), members(3, (3,), (2, 4), seed=3)
    padded = [np.concatenate([v[0], [0], v[1].ravel()]) for v in values]
    exchange = Exchange(term, values[0], 3)
    for count in range(2):
        sent = [
            qsgd.round_trip(
                term, p, lambda n, m=m, c=count: noise.uniform(SEED, c, m, n)
            )
            for m, p in enumerate(padded)
        ]
        chunks = np.split((sent[0] + sent[1] + sent[2]) * (1 / 3), 3)
        want = np.concatenate(
            [
                qsgd.round_trip(
                    term, p, lambda n, m=m, c=count: noise.uniform(SEED, c, 3 + m, n)
                )
                for m, p in enumerate(chunks)
            ]
        )
        got = exchange(values)
        assert (got[0] == want[:3]).all()
        assert (got[1].ravel() == want[4:]).all()


def test_each_leaf_is_filled_up_to_whole_blocks():
    """A large value in one leaf does not spoil the scale of the next."""
    values = [[np.full((1, 3), 1e6), np.array([[1.0, 0.5, 0.25]])]]
    got = mean_once(Int8(block=4), values)
    assert got[1] == pytest.approx(values[0][1], abs=1 / 127)


def test_without_feedback_nothing_is_remembered():
    exchange = Exchange(Int8(feedback=False), members(1, (4, 4))[0], 3)
    exchange(members(3, (4, 4)))
    assert exchange.states == [Residual(None, None)] * 3


@pytest.mark.parametrize("num", [1, 3])
def test_a_push_is_decoded_as_it_was_sent_and_owes_the_rest(num):
    term, values = Sign(block=8), members(num, (3,), (4, 4))
    meeting = Meeting("site", ("b", "w"), 0)
    states = compression.start_push(term, values[0], num, meeting)
    pushed, states = compression.push(term, values, states, meeting)
    for (b, w), (b0, w0), state in zip(pushed, values, states, strict=True):
        assert (b == b0).all()  # one dim: dense
        assert (w.ravel() == sign.round_trip(term, w0.ravel(), np.zeros)).all()
        assert w.ravel() + state.worker == pytest.approx(w0.ravel())
        assert state.server is None


def test_a_push_of_qsgd_draws_by_member_and_count():
    term = Qsgd(bits=2, bucket=16)
    values = [members(1, (4, 4))[0]] * 2
    results = []
    for count in range(2):
        meeting = Meeting("site", ("w",), count)
        states = compression.start_push(term, values[0], 2, meeting)
        results += compression.push(term, values, states, meeting)[0]
    assert len({leaf.tobytes() for (leaf,) in results}) == 4


def test_a_push_without_a_codec_is_the_values():
    values, meeting = members(2, (3,)), Meeting("site", ("w",), 0)
    states = compression.start_push(NoCompression(), values[0], 2, meeting)
    assert compression.push(NoCompression(), values, states, meeting)[0] is values
