"""Who hears whom."""

import itertools

import numpy as np
import pytest

from diamond.runtime.engines.reference.centralization.topologies import rows

CASES = [
    ("complete", 5),
    ("ring", 2),
    ("ring", 3),
    ("ring", 6),
    ("exponential", 2),
    ("exponential", 6),
    ("exponential", 8),
    ("hypercube", 8),
    ("pairs", 2),
    ("pairs", 6),
    ("chain", 2),
    ("chain", 5),
]


def matrix(topology, size, number):
    w = np.zeros((size, size))
    for i, row in enumerate(rows(topology, size, number)):
        w[i, i] += row.own
        for peer, weight in row.peers:
            w[i, peer] += weight
    return w


@pytest.mark.parametrize(("topology", "size"), CASES)
def test_what_a_member_gives_away_sums_to_one(topology, size):
    for number in range(9):
        w = matrix(topology, size, number)
        assert (w >= 0).all()
        np.testing.assert_allclose(w.sum(axis=0), 1)
        if topology != "chain":
            np.testing.assert_allclose(w.sum(axis=1), 1)


@pytest.mark.parametrize("topology", ["ring", "exponential", "hypercube", "chain"])
def test_after_enough_mixings_all_have_heard_all(topology):
    mixed = np.eye(8)
    for number in range(8):
        mixed = matrix(topology, 8, number) @ mixed
    assert (mixed > 0).all()


def test_one_member_hears_nobody():
    for topology in ("complete", "ring", "exponential", "hypercube", "pairs", "chain"):
        assert [row.peers for row in rows(topology, 1, 3)] == [()]


def test_peers_by_hand():
    def peers(topology, size, number):
        return [[p for p, _ in row.peers] for row in rows(topology, size, number)]

    assert peers("ring", 4, 9) == [[3, 1], [0, 2], [1, 3], [2, 0]]
    assert peers("ring", 2, 0) == [[1], [0]]
    assert peers("exponential", 5, 1) == [[3], [4], [0], [1], [2]]
    assert peers("exponential", 5, 5) == [[1], [2], [3], [4], [0]]
    assert peers("exponential", 4, 2) == [[3], [0], [1], [2]]
    assert peers("hypercube", 4, 3) == [[2], [3], [0], [1]]
    assert peers("pairs", 4, 0) == [[3], [2], [1], [0]]
    assert peers("pairs", 4, 1) == [[2], [3], [0], [1]]
    assert peers("chain", 3, 0) == [[1], [0, 2], [1]]
    assert matrix("chain", 3, 0)[1].tolist() == [1 / 2, 1 / 3, 1 / 2]


@pytest.mark.parametrize("size", [2, 4, 6, 8])
def test_in_a_tournament_all_meet_all_once(size):
    met = []
    for number in range(size - 1):
        opponent = [row.peers[0][0] for row in rows("pairs", size, number)]
        assert [opponent[j] for j in opponent] == list(range(size))
        met += [(i, j) for i, j in enumerate(opponent) if i < j]
    assert sorted(met) == list(itertools.combinations(range(size), 2))
    assert rows("pairs", size, size - 1) == rows("pairs", size, 0)
