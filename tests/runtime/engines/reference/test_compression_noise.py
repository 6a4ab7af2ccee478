"""The shared lots: what they are, and that they look random."""

import itertools

import numpy as np
import pytest

from diamond.runtime.engines.reference import noise

KEYS = [(0, 0, 1), (1, 0, 0), (0, 1, 0), (noise.checksum("site"), 7, 3)]


def mix(h):
    h = ((h ^ (h >> 16)) * 0x7FEB352D) % 2**32
    h = ((h ^ (h >> 15)) * 0x846CA68B) % 2**32
    return h ^ (h >> 16)


def word(seed, count, member, k):
    key = mix((mix((mix(seed) + count) % 2**32) + member) % 2**32)
    return mix(((k * 0x9E3779B9) % 2**32) ^ key)


def test_mixing_by_hand():
    # 1 -> 0x7FEB352D -> (^ >> 15) 0x7FEBCAFB -> ...
    assert int(noise.bits(0, 0, 0, 1)[0]) == 0
    assert mix(1) == 1753845952
    assert int(noise.bits(0, 0, 0, 2)[1]) == mix(0x9E3779B9)


@pytest.mark.parametrize("key", [*KEYS, (2**32 - 1, 2**32 - 1, 5)])
def test_bits_are_the_equations_in_whole_numbers(key):
    assert noise.bits(*key, 300).tolist() == [word(*key, k) for k in range(300)]


def test_a_seed_is_taken_modulo_two_to_the_32():
    assert (noise.bits(2**32 + 5, 0, 0, 8) == noise.bits(5, 0, 0, 8)).all()


def test_a_longer_stream_begins_like_a_shorter_one():
    assert (noise.bits(3, 1, 4, 100)[:10] == noise.bits(3, 1, 4, 10)).all()


def test_uniform_numbers_have_24_bits():
    u, words = noise.uniform(3, 1, 4, 1000), noise.bits(3, 1, 4, 1000)
    assert u.dtype == np.float32
    assert (u.astype(np.float64) * 2**24 == words // 256).all()
    assert u.min() >= 0
    assert u.max() < 1


def test_the_checksum_of_an_axis_s_name():
    assert noise.checksum("123456789") == 0xCBF43926  # the check value of CRC-32


def test_a_use_s_seed_is_the_equations_in_whole_numbers():
    seed = 0
    for number in (3, noise.checksum("host"), 2**32 + 5, 2, 7):
        seed = mix((seed + number) % 2**32)
    of_use = noise.seed_of(noise.Use.PLACES, "host", seed=2**32 + 5, outside=2)
    assert noise.seed_within(of_use, 7) == seed


def test_each_use_axis_seed_and_place_outside_has_a_seed_of_its_own():
    seeds = {
        noise.seed_of(use, axis, seed, outside)
        for use in noise.Use
        for axis in ("site", "host")
        for seed in range(4)
        for outside in range(4)
    }
    assert len(seeds) == 8 * 2 * 4 * 4


@pytest.mark.parametrize("key", KEYS)
def test_numbers_fill_the_interval_evenly(key):
    n, bins = 1 << 16, 64
    counts = np.bincount((noise.uniform(*key, n) * bins).astype(int), minlength=bins)
    chi_square = ((counts - n / bins) ** 2 / (n / bins)).sum()
    assert 63 - 6 * np.sqrt(126) < chi_square < 63 + 6 * np.sqrt(126)


@pytest.mark.parametrize("lag", [1, 2, 64])
def test_neighbours_do_not_depend_on_each_other(lag):
    u = noise.uniform(11, 0, 0, 1 << 16)
    assert abs(np.corrcoef(u[:-lag], u[lag:])[0, 1]) < 5 / 256


def test_streams_of_different_keys_do_not_depend_on_each_other():
    streams = [noise.uniform(*key, 1 << 14) for key in [(0, 0, 0), *KEYS]]
    for a, b in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / 128


@pytest.mark.parametrize("place", [0, 1, 2])
def test_first_numbers_of_many_streams_fill_the_interval(place):
    """Each of seed, count and member is enough to draw anew."""
    keys = np.zeros((2048, 3), int)
    keys[:, place] = np.arange(2048)
    first = [noise.uniform(*map(int, key), 1)[0] for key in keys]
    counts = np.bincount((np.array(first) * 16).astype(int), minlength=16)
    assert ((counts - 128) ** 2 / 128).sum() < 15 + 6 * np.sqrt(30)
