"""Noise: a stream a use, an axis, a seed and a place outside."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.compression.qsgd import qsgd
from diamond.compiler.exchange.compression.ternary import ternary
from diamond.compiler.exchange.consistency.hogwild import hogwild
from diamond.compiler.exchange.noise import Stream, key_of, seed_within, uniform
from diamond.compiler.exchange.wire import mesh_wire
from tests.compiler.exchange.members import over_members
from tests.compiler.exchange.numpy_codecs import seed_of

DRAWN = 1 << 14


def _first(seed):
    return np.asarray(uniform(key_of(seed, 0, 0), DRAWN))


def test_seeds_are_the_equations_in_whole_numbers() -> None:
    wire = mesh_wire("host", 4, seed=2**32 + 5)
    for use in Stream:
        seed = seed_of(use, seed=5)
        assert int(wire.stream(use)) == wire.stream_alike(use) == seed
        assert int(seed_within(wire.stream(use), 3)) == seed_of(use, 3, seed=5)
        assert int(wire.stream(use, seed=7)) == seed_of(use, seed=7)


def test_the_draws_of_different_uses_do_not_depend_on_each_other() -> None:
    wire = mesh_wire("host", 4)
    streams = [_first(wire.stream(use)) for use in Stream]
    streams += [_first(seed_within(wire.stream(use), 0)) for use in Stream]
    streams.append(_first(mesh_wire("host", 4, seed=1).stream(Stream.ROUNDING)))
    for one, other in itertools.combinations(streams, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 5 / np.sqrt(DRAWN)


def test_ternaries_of_what_hogwild_looks_at_are_right_on_average() -> None:
    """The old coordinates are 0.2 and the others 1: none is sent more often for it."""

    def run(wire, x):
        rule, compressor = hogwild(max_staleness=1, wire=wire), ternary(clip=0, size=2)

        def once(carry, _):
            (state, kept), (seen, made) = carry
            [view] = rule.view([x], state)
            view = view.at[0, 0].set(1.0)
            [mean], kept = compressor.mean([view], kept, wire, 0)
            total = seen + wire.sum(view) / 2, made + mean
            return ((state._replace(clock=state.clock + 1), kept), total), None

        versions = rule.init([x], [x])._replace(past=[jnp.full((1, *x.shape), 0.2)])
        start = (versions, compressor.init([x])), (0 * x, 0 * x)
        (_, totals), _ = jax.lax.scan(once, start, None, length=400)
        return totals

    seen, made = over_members(run, np.ones((2, 20, 25), np.float32))
    assert float(seen.mean()) / 400 == pytest.approx(0.6, abs=0.01)
    assert float(made.mean()) / 400 == pytest.approx(0.6, abs=0.01)


def test_a_seed_near_the_end_of_the_words_wraps_for_each_leaf() -> None:
    assert int(seed_within(2**32 - 1, 5)) == int(seed_within(4, 0))
    drawn = uniform(key_of(2**32, 0, 0), 4)
    np.testing.assert_array_equal(drawn, uniform(key_of(0, 0, 0), 4))


def _nested_means(outer):
    """Returns the host's mean of equal values, for 4 sites of 2 hosts each."""
    mesh = Mesh(np.array(jax.devices()[:8]).reshape(4, 2), ("site", "host"))
    values = np.random.default_rng(0).normal(size=1 << 13).astype(np.float32)
    compressor = coded(qsgd(bits=2, bucket=64), 2)

    def body(values):
        wire = mesh_wire("host", 2, outer)
        [mean], _ = compressor.mean([values], compressor.init([values]), wire, 0)
        return mean[None, None]

    spec = PartitionSpec("site", "host")
    mapped = jax.shard_map(
        body, mesh=mesh, in_specs=PartitionSpec(), out_specs=spec, check_vma=False
    )
    return values, np.asarray(jax.jit(mapped)(values))


def test_errors_average_out_over_the_axes_outside() -> None:
    values, means = _nested_means((("site", 4),))
    np.testing.assert_array_equal(means[:, 0], means[:, 1])
    errors = means[:, 0] - values
    ratio = np.square(errors.mean(0)).mean() / np.square(errors).mean()
    assert 0.2 < ratio < 0.3


def test_without_axes_outside_errors_are_the_same() -> None:
    _, means = _nested_means(())
    np.testing.assert_array_equal(means, np.broadcast_to(means[0, 0], means.shape))
