"""Random-k: shared places, drawn anew."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.compression.randomk import random_places, randomk
from diamond.compiler.exchange.noise import Stream, bits, key_of
from tests.compiler.exchange.numpy_codecs import seed_of
from tests.compiler.exchange.rounds import (
    average_of,
    drawn,
    exchanged,
    means_of,
    messages_of,
)


def _places(leaf, uses, k, size):
    key = key_of(seed_of(Stream.PLACES, leaf), uses, 0)
    drawn = np.asarray(bits(key, k + 1))
    run, drawn = size // k, drawn.astype(np.int64)
    return (np.arange(k) * run + drawn[:k] % run + drawn[k] % size) % size


@pytest.mark.parametrize("members", [1, 2, 4])
@pytest.mark.parametrize("feedback", [True, False])
def test_randomk_is_numpy_s(members, feedback) -> None:
    rounds = drawn(members)
    made, state = exchanged(randomk(density=0.2, feedback=feedback), rounds)
    for leaf, size in enumerate((30, 28)):
        lost = np.zeros((members, size), np.float32)
        for number, values in enumerate(rounds):
            wanted = values[leaf].reshape(members, size) + lost
            places = _places(leaf, number, 6, size)
            sent = np.zeros(size, np.float32)
            sent[places] = wanted[:, places].mean(0)
            if feedback:
                lost = wanted.copy()
                lost[:, places] = 0
            else:
                sent = sent * np.float32(size / 6)
            for copy in made[number][leaf]:
                np.testing.assert_allclose(copy.ravel(), sent, rtol=1e-5, atol=1e-7)
        if feedback:
            kept = state.lost[leaf].reshape(members, size)
            np.testing.assert_array_equal(kept, lost)
    assert state.uses.tolist() == [3] * members


@pytest.mark.parametrize(("num", "size"), [(1, 7), (3, 10), (10, 10), (7, 50)])
def test_places_differ_and_each_is_as_likely(num, size) -> None:
    counts = np.zeros(size)
    keys = jax.vmap(lambda use: key_of(5, use, 0))(jnp.arange(400))
    draws = jax.vmap(lambda key: random_places(key, num, size))(keys)
    for places in np.asarray(draws):
        assert len(set(places.tolist())) == num
        counts[places] += 1
    spread = np.sqrt(400 * num / size)
    assert np.abs(counts - 400 * num / size).max() < 4.5 * spread


def test_it_is_right_on_average_without_feedback() -> None:
    shapes = ((5, 4),)
    [[values]] = drawn(2, rounds=1, shapes=shapes)
    [average] = average_of(randomk(density=0.25, feedback=False), [values], 300)
    # Each value is 4 v with probability 1/4: its deviation is sqrt(3) |v|.
    bound = 4.5 * np.sqrt(3 / 300) * np.abs(values.mean(0)) + 1e-6
    assert (np.abs(average - values.mean(0)) < bound).all()


def test_density_one_is_the_mean() -> None:
    rounds = drawn(4, rounds=1)
    [made] = means_of(randomk(density=1.0), rounds)
    np.testing.assert_allclose(made[0], rounds[0][0].mean(0), rtol=1e-5, atol=1e-7)


def test_values_add_up_in_one_message() -> None:
    assert messages_of(randomk(density=0.2), 4) == [("all-reduce", "f32", 6 + 6)]
