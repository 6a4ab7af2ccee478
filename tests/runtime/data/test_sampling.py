"""The order of examples: shuffled, without replacement, and the same for ever."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond.runtime.data.sampling import permutation, random_bits, shuffled, split


def test_the_stream_is_pinned() -> None:
    assert permutation(0, 0, 8).tolist() == [0, 2, 1, 5, 4, 3, 6, 7]
    bits = [5705853004827290377, 6584680345644299050]
    assert random_bits(1, 2, 2).tolist() == bits


@given(st.integers(1, 20), st.integers(0, 60), st.integers(1, 50))
def test_batches_are_pieces_of_one_stream(size: int, start: int, count: int) -> None:
    whole = shuffled(3, size, 0, start + count)
    assert shuffled(3, size, start, count).tolist() == whole[start:].tolist()


@given(st.integers(1, 20), st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_an_epoch_has_each_place_once(size: int, seed: int, epoch: int) -> None:
    places = shuffled(seed, size, epoch * size, size)
    assert sorted(places.tolist()) == list(range(size))


def test_epochs_and_seeds_differ() -> None:
    orders = [permutation(seed, epoch, 50) for seed in (0, 1) for epoch in (0, 1)]
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert (one != other).any()


def test_an_order_cannot_be_changed_by_its_reader() -> None:
    with pytest.raises(ValueError, match="read-only"):
        permutation(0, 0, 5)[0] = 1


@given(st.integers(0, 200), st.floats(0, 0.9))
def test_a_split_parts_all_places(size: int, held_out: float) -> None:
    training, holding = split(size, held_out)
    both = np.concatenate([training, holding])
    assert sorted(both.tolist()) == list(range(size))
    least = 1 if held_out and size > 1 else 0
    most = max(size - 1, 0)
    assert len(holding) == min(max(round(size * held_out), least), most)
