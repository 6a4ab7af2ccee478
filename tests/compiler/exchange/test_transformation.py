"""Exchanges as optax transformations in a loop that Diamond did not write."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

from diamond.compiler.compat import make_mesh
from diamond.compiler.exchange.transformation import local, synchronous
from diamond.dsl.vocabulary import (
    Average,
    Cast,
    Int8,
    Nesterov,
    NoCompression,
)

N = 4
VALUES = np.random.default_rng(0).normal(size=(N, 12)).astype(np.float32)


def _over_axis(body, *values):
    """Runs a function on each member's row and stacks what it returns."""
    mesh = make_mesh((N,), ("data",), jax.devices()[:N])

    def one(*rows):
        rows = jax.tree.map(lambda row: row[0], rows)
        return jax.tree.map(lambda leaf: jnp.asarray(leaf)[None], body(*rows))

    spec = PartitionSpec("data")
    run = jax.shard_map(one, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    return jax.jit(run)(*values)


@pytest.mark.parametrize(
    ("codec", "error"),
    [(NoCompression(), 1e-6), (Cast(), 0.01), (Int8(block=4, feedback=False), 0.05)],
)
def test_synchronous_returns_the_mean_on_every_member(codec, error) -> None:
    exchange = synchronous("data", compression=codec)

    def body(row):
        return exchange.update({"w": row}, exchange.init({"w": row}))[0]["w"]

    found = np.asarray(_over_axis(body, VALUES))
    assert (found == found[0]).all()
    assert np.abs(found[0] - VALUES.mean(0)).max() < error


def test_feedback_makes_up_for_what_was_lost() -> None:
    """The sum of T means misses the sum of what was put in by a bounded residual."""
    exchange = synchronous("data", compression=Int8(block=4))

    def body(row):
        def step(state, _):
            mean, state = exchange.update(row, state)
            return state, mean

        return jax.lax.scan(step, exchange.init(row), None, 64)[1].sum(0)

    error = np.abs(np.asarray(_over_axis(body, VALUES))[0] - 64 * VALUES.mean(0))
    assert error.max() < 0.1


@pytest.mark.parametrize("outer", [Average(), Nesterov(lr=1.0, momentum=0.0)])
def test_local_meets_every_third_update_and_only_then(outer) -> None:
    exchange = local("data", every=3, outer=outer)

    def body(row):
        params = jnp.zeros_like(row)
        state, seen = exchange.init(params), []
        for _ in range(6):
            params, state = exchange.update(params + row, state)
            seen.append(params)
        return jnp.stack(seen)

    found = np.asarray(_over_axis(body, VALUES)).transpose(1, 0, 2)
    met = [np.allclose(copies, copies[0], atol=1e-6) for copies in found]
    assert met == [False, False, True, False, False, True]


def test_it_chains_with_an_optimizer_like_any_optax_piece() -> None:
    chain = optax.chain(synchronous("data"), optax.sgd(0.5))

    def body(row):
        updates, _ = chain.update(row, chain.init(row), row)
        return updates

    found = np.asarray(_over_axis(body, VALUES))
    np.testing.assert_allclose(found[0], -0.5 * VALUES.mean(0), rtol=1e-5, atol=1e-7)


def test_a_local_exchange_refuses_to_stand_in_a_chain() -> None:
    chain = optax.chain(optax.sgd(0.5), local("data", every=2, size=2))
    with pytest.raises(ValueError, match="cannot stand in"):
        chain.update(jnp.ones(3), chain.init(jnp.ones(3)), jnp.ones(3))


@pytest.mark.parametrize("codec", ["int8", Int8, Average()])
def test_what_is_no_codec_is_refused_by_name(codec) -> None:
    with pytest.raises(TypeError, match=r"`compression` .* must be NoCompression or"):
        synchronous("data", compression=codec)
