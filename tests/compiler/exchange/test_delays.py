"""Delays drawn from a law, and the versions that they look back at."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.delays import law_of
from diamond.compiler.exchange.noise import Stream, key_of, uniform
from diamond.compiler.exchange.versions import aged, renewed, versions_of
from tests.compiler.exchange.members import over_members
from tests.compiler.exchange.numpy_codecs import seed_of


def delays_of(law, size, steps):
    """Returns `[steps, size]`, the delays of each member's first steps."""

    def draw(wire, clocks):
        return jax.vmap(lambda clock: law.draw(clock, wire))(clocks)

    clocks = np.tile(np.arange(steps, dtype=np.int32), (size, 1))
    return np.asarray(over_members(draw, clocks)).T


@pytest.mark.parametrize(
    ("law", "mean", "most", "shares"),
    [
        ("uniform", 1.0, 4, [1 / 3, 1 / 3, 1 / 3]),
        ("uniform", 2.0, 2, [0.2, 0.2, 0.6]),
        ("uniform", 0.0, 4, [1.0]),
        ("uniform", 1.0, 0, [1.0]),
        ("geometric", 1.0, 3, [0.5, 0.25, 0.125, 0.125]),
        ("geometric", 0.0, 3, [1.0]),
        ("constant", 2.0, 4, [0.0, 0.0, 1.0]),
        ("constant", 5.0, 1, [0.0, 1.0]),
    ],
)
def test_delays_follow_their_law_cut_off_at_the_bound(law, mean, most, shares) -> None:
    made = law_of(law=law, mean=mean, seed=3, most=most)
    found = delays_of(made, size=2, steps=600)
    counts = np.bincount(found.ravel(), minlength=len(shares)) / found.size
    assert len(counts) == len(shares)
    np.testing.assert_allclose(counts, shares, atol=0.06)


def test_a_delay_is_a_function_of_seed_axis_step_and_member() -> None:
    found = delays_of(law_of(law="uniform", mean=2.0, seed=7, most=4), size=4, steps=9)
    seed = seed_of(Stream.DELAYS, seed=7)
    for step in range(9):
        for member in range(4):
            u = float(uniform(key_of(seed, step, member), 1)[0])
            assert found[step, member] == int(u * 5)


def test_a_seed_of_more_than_32_bits_wraps() -> None:
    laws = [law_of(law="uniform", mean=2.0, seed=s, most=4) for s in (5, 5 + 2**32, 6)]
    same, wrapped, other = (delays_of(law, size=2, steps=20) for law in laws)
    np.testing.assert_array_equal(same, wrapped)
    assert (same != other).any()


@pytest.mark.parametrize("depth", [1, 3])
def test_versions_are_the_parameters_of_the_last_steps(depth) -> None:
    steps = [jnp.full((2, 2), float(step)) for step in range(7)]
    versions = versions_of([jnp.full((2, 2), -1.0)], depth)
    for now, x in enumerate(steps):
        for age in range(depth + 1):
            [past], whole = versions.past, jnp.full((2, 2), age)
            expected = now - age if now >= age else -1
            for given in (jnp.int32(age), whole):
                found = aged(x, past, versions.clock, given)
                np.testing.assert_array_equal(found, np.full((2, 2), expected))
        versions = renewed([x], versions)


def test_a_coordinate_has_an_age_of_its_own() -> None:
    versions = versions_of([jnp.asarray([0.0, 0.0])], 2)
    versions = renewed([jnp.asarray([1.0, 10.0])], versions)
    versions = renewed([jnp.asarray([2.0, 20.0])], versions)
    [past], ages = versions.past, jnp.asarray([2, 1])
    found = aged(jnp.asarray([3.0, 30.0]), past, versions.clock, ages)
    assert found.tolist() == [1.0, 20.0]


def test_no_versions_are_kept_where_none_is_looked_at() -> None:
    versions = renewed([jnp.ones(2)], versions_of([jnp.zeros(2)], 0))
    assert versions.past is None
    assert versions.clock == 1
