"""top-k, random-k, and deep gradient compression."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Dgc, RandomK, TopK
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression.leafwise import Place
from diamond.runtime.engines.reference.compression.randomk import places
from diamond.runtime.engines.reference.compression.topk import largest, num_kept
from diamond.runtime.engines.reference.meeting import Meeting
from diamond.runtime.engines.reference.noise import Use
from tests.runtime.engines.reference.exchanges import (
    Exchange,
    mean_once,
    members,
    plain,
)

DTYPES = [np.float32, np.float64]


def test_how_many_cross():
    sizes = [(0.0, 9), (0.25, 10), (0.35, 10), (1.0, 7)]
    assert [num_kept(*pair) for pair in sizes] == [1, 2, 4, 7]


def test_the_first_of_equals_is_kept():
    p = np.array([[1.0, -2.0, 2.0], [0.0, 2.0, -1.0]])
    assert largest(p, 2 / 6).tolist() == [[False, True, True], [False] * 3]
    kept = np.flatnonzero(largest(np.tile([1.0, 3.0, -3.0, 2.0], 200), 0.1))
    assert kept.tolist() == [4 * (i // 2) + 1 + i % 2 for i in range(80)]


def test_topk_by_hand():
    first, second = np.array([[4.0, 1.0, -3.0, 0.0]]), np.array([[0.0, 5.0, 1.0, -2.0]])
    exchange = Exchange(TopK(density=0.5), [first], 2)
    assert exchange([[first], [second]])[0].tolist() == [[2, 2.5, -1.5, -1]]
    assert exchange.states[0][0].error.tolist() == [[0, 1, 0, 0]]
    assert exchange.states[1][0].error.tolist() == [[0, 0, 1, 0]]
    nothing = [[0 * first], [0 * first]]
    assert exchange(nothing)[0].tolist() == [[0, 0.5, 0.5, 0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("term", [TopK(density=0.2), RandomK(density=0.2)])
def test_what_was_sent_and_what_is_kept_are_all_there_was(term, num, dtype):
    exchange = Exchange(term, members(1, (5, 4), dtype=dtype)[0], num)
    given = wanted = 0
    for step in range(8):
        values = members(num, (5, 4), dtype=dtype, seed=step)
        given, wanted = given + exchange(values)[0], wanted + plain(values)[0]
    kept = np.mean([memories[0].error for memories in exchange.states], axis=0)
    assert given.dtype == dtype
    assert np.abs(kept).max() > 0
    assert given + kept == pytest.approx(wanted, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("dtype", DTYPES)
def test_randomk_without_feedback_is_unbiased(dtype):
    values, times = members(2, (5, 7), dtype=dtype), 4000
    exchange = Exchange(RandomK(density=0.2, feedback=False), values[0], 2)
    total = sum(exchange(values)[0].astype(np.float64) for _ in range(times))
    want = plain(values)[0]
    assert np.abs(total / times - want).max() < 5 * np.abs(want).max() * 2 / times**0.5


@pytest.mark.parametrize(("num", "size"), [(1, 5), (3, 10), (7, 7), (4, 19)])
def test_places_differ_and_each_is_as_likely(num, size):
    counts, times = np.zeros(size), 3000
    for count in range(times):
        drawn = places(Place(Meeting("pod", (), count), 1), num, size)
        assert len(set(drawn.tolist())) == num
        counts[drawn] += 1
    share = num / size
    bound = 5 * np.sqrt(share * (1 - share) / times)
    assert np.abs(counts / times - share).max() <= bound


def test_places_by_hand():
    place = Place(Meeting("pod", (), 4), 1)
    words = [int(word) for word in noise.bits(place.seed_of(Use.PLACES), 4, 0, 4)]
    want = [(j * 3 + words[j] % 3 + words[3] % 10) % 10 for j in range(3)]
    assert places(place, 3, 10).tolist() == want


def test_the_seed_of_a_leaf_is_that_of_the_use_and_its_place():
    term = RandomK(density=0.1, feedback=False)
    got = mean_once(term, [[np.ones(30), np.ones((5, 6))]], axis="pod")[1].ravel()
    want = places(Place(Meeting("pod", (), 0), 1), 3, 30)
    seed = noise.seed_within(noise.seed_of(Use.PLACES, "pod"), 1)
    assert Place(Meeting("pod", (), 0), 1).seed_of(Use.PLACES) == seed
    assert sorted(np.flatnonzero(got)) == sorted(want)
    assert got[want].tolist() == [10, 10, 10]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dgc_of_full_density_is_the_mean(momentum, dtype):
    term = Dgc(density=1.0, momentum=momentum)
    exchange = Exchange(term, members(1, (4, 3), dtype=dtype)[0], 3)
    for step in range(3):
        values = members(3, (4, 3), dtype=dtype, seed=step)
        got = exchange(values)[0]
        assert got.dtype == dtype
        assert got == pytest.approx(plain(values)[0], rel=1e-5, abs=1e-6)


def test_dgc_by_hand():
    exchange = Exchange(Dgc(density=0.5, momentum=0.5), [np.zeros((1, 2))], 1)
    g = np.array([[4.0, 2.0]])
    # u = w = (4, 2): the first is sent, and forgotten
    assert exchange([[g]])[0].tolist() == [[4, 0]]
    # u = (4, 3), w = (4, 5): the second is sent
    assert exchange([[g]])[0].tolist() == [[0, 5]]
    # u = (6, 2), w = (10, 2)
    assert exchange([[g]])[0].tolist() == [[10, 0]]
    memory = exchange.states[0][0]
    assert (memory.momentum.tolist(), memory.total.tolist()) == ([[0, 2]], [[0, 2]])


def test_dgc_without_momentum_is_topk():
    pair = Dgc(density=0.25, momentum=0.0), TopK(density=0.25)
    dgc, topk = (Exchange(term, members(1, (4, 5))[0], 2) for term in pair)
    for step in range(4):
        values = members(2, (4, 5), seed=step)
        assert dgc(values)[0] == pytest.approx(topk(values)[0])
