"""Every rule in a `shard_map` loop that Diamond did not write."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diamond import exchange
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import rule_of
from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Bmuf,
    Cast,
    Delays,
    Elastic,
    Gossip,
    Hogwild,
    Int8,
    Local,
    ParameterServer,
    Pipelined,
    SlowMo,
    StaleSynchronous,
)
from tests.compiler.exchange.members import AXIS, over_members
from tests.compiler.exchange.training import (
    CURVATURE,
    LR,
    PULLS,
    START,
    gradient,
    trained,
)

LATE = Delays("geometric", 1.0, 4)
VIEWED = [
    (
        exchange.asynchronous(AXIS, max_staleness=3, compensation="dc", strength=0.3),
        Asynchronous(3, "dc", 0.3),
    ),
    (exchange.asynchronous(AXIS, delays=LATE), Asynchronous(delays=LATE)),
    (exchange.hogwild(AXIS, max_staleness=2), Hogwild(2)),
]
OF_GRADIENTS = [
    (exchange.pipelined(AXIS, delay=2), Pipelined(2)),
    (exchange.stale_synchronous(AXIS, delays=LATE), StaleSynchronous(3, LATE)),
    *VIEWED,
]
OF_PARAMETERS = [
    (exchange.elastic(AXIS, every=3, rho=0.6), Elastic(3, 0.6)),
    (exchange.local(AXIS, every=4, outer=Bmuf()), Local(4, Bmuf())),
    (exchange.local(AXIS, every=2, outer=SlowMo()), Local(2, SlowMo())),
]


def _looped(init, step, size=4, steps=12):
    """Scans step(params, state, gradient at) on every member: x after each step."""

    def body(wire, pulls):
        params = _tree(jnp.asarray(START))

        def once(carry, pull):
            def gradient_at(at):
                return _tree(CURVATURE * _vector(at) - pull)

            carry = step(*carry, gradient_at)
            return carry, _vector(carry[0])

        return jax.lax.scan(once, (params, init(params)), pulls)[1]

    pulls = PULLS[:steps, :size].swapaxes(0, 1)
    return np.asarray(over_members(body, pulls)).swapaxes(0, 1)


def _tree(vector):
    return {"a": vector[:6].reshape(2, 3), "b": vector[6:]}


def _vector(tree):
    return jnp.concatenate([tree["a"].reshape(-1), tree["b"]])


def _descended(params, gradients):
    return jax.tree.map(lambda x, g: x - LR * g, params, gradients)


def _by_a_scheme_s_step(term):
    how = {"is_exact": True}
    return trained(lambda wire: rule_of(term, AllReduce(), Site(wire, ()), **how)).x


@pytest.mark.parametrize(("made", "term"), OF_GRADIENTS, ids=str)
def test_exchanges_of_gradients_are_those_of_a_scheme(made, term) -> None:
    def step(params, state, gradient_at):
        at = made.view(params, state) if hasattr(made, "view") else params
        given, state = made.update(gradient_at(at), state, params)
        return _descended(params, given), state

    found = _looped(made.init, step)
    np.testing.assert_allclose(found, _by_a_scheme_s_step(term), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("made", "term"), OF_PARAMETERS, ids=str)
def test_exchanges_of_parameters_are_those_of_a_scheme(made, term) -> None:
    def step(params, state, gradient_at):
        return made.update(_descended(params, gradient_at(params)), state)

    found = _looped(made.init, step)
    np.testing.assert_allclose(found, _by_a_scheme_s_step(term), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("every", [1, 3])
def test_a_gossip_mixes_with_other_neighbours_each_time(every) -> None:
    made = exchange.gossip(AXIS, every=every)

    def step(params, state, gradient_at):
        return made.update(_descended(params, gradient_at(params)), state)

    x, mixings = np.stack([START] * 4), 0
    for number, copies in enumerate(_looped(made.init, step)):
        x = np.stack([x[i] - LR * gradient(x[i], number, i) for i in range(4)])
        if (number + 1) % every == 0:
            x = (x + np.roll(x, 2 ** (mixings % 2), axis=0)) / 2
            mixings += 1
        np.testing.assert_allclose(copies, x, rtol=1e-4, atol=1e-5)


def test_a_gossip_with_push_sum_tends_to_the_mean_of_all() -> None:
    made = exchange.gossip(AXIS, topology="chain", push_sum=True)

    def body(wire, x):
        state = made.init(x)
        for _ in range(80):
            x, state = made.update(x, state)
        return x

    x = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
    found = np.asarray(over_members(body, x))
    np.testing.assert_allclose(found, np.stack([x.mean(0)] * 4), atol=1e-4)


@pytest.mark.parametrize(("made", "term"), VIEWED, ids=str)
def test_what_looks_back_stands_in_a_chain(made, term) -> None:
    chain = optax.chain(made, optax.sgd(LR))

    def step(params, state, gradient_at):
        updates, state = chain.update(
            gradient_at(made.view(params, state[0])), state, params
        )
        return optax.apply_updates(params, updates), state

    found = _looped(chain.init, step)
    np.testing.assert_allclose(found, _by_a_scheme_s_step(term), rtol=1e-4, atol=1e-5)


def test_what_looks_back_needs_the_parameters() -> None:
    made = exchange.hogwild(AXIS, size=1)
    state = made.init(jnp.ones(3))
    with pytest.raises(ValueError, match="keeps the parameters of past steps"):
        made.update(jnp.ones(3), state)


@pytest.mark.parametrize(
    "made", [exchange.elastic(AXIS, size=2), exchange.gossip(AXIS)]
)
def test_what_exchanges_parameters_stands_in_no_chain(made) -> None:
    def body(wire, x):
        made.update(x, made.init(x), x)

    with pytest.raises(ValueError, match="cannot stand in"):
        over_members(body, np.ones((2, 3), np.float32))


@pytest.mark.parametrize("function", [exchange.synchronous, exchange.local])
def test_what_forms_no_mean_is_refused(function) -> None:
    period = {"every": 2} if function is exchange.local else {}
    with pytest.raises(ValueError, match=r"use `exchange\.gossip`"):
        function(AXIS, centralization=Gossip(), **period)
    with pytest.raises(ValueError, match="compile a scheme instead"):
        function(AXIS, centralization=ParameterServer(), **period)


def test_a_gossip_refuses_feedback_and_takes_codes_without_it() -> None:
    with pytest.raises(ValueError, match=r"D084: .* write `int8\(feedback = false"):
        exchange.gossip(AXIS, compression=Int8())
    made = exchange.gossip(AXIS, topology="ring", compression=Cast())

    def body(wire, x):
        return made.update(x, made.init(x))[0]

    x = np.arange(4, dtype=np.float32)[:, None] * np.ones((4, 3), np.float32)
    found = np.asarray(over_members(body, x))
    expected = (x + np.roll(x, 1, 0) + np.roll(x, -1, 0)) / 3
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_pattern_must_match_a_tensor() -> None:
    made = exchange.pipelined(AXIS, compression=Int8(exclude=("norm/*",)), size=2)
    with pytest.raises(ValueError, match=r"D088: .* names are `w`"):
        made.init({"w": jnp.ones(3)})


def test_codes_cross_late_too() -> None:
    """Two members, one mean late: what is given is near the exact mean."""
    made = exchange.pipelined(AXIS, compression=Int8(block=4))

    def body(wire, x):
        _, state = made.update(x, made.init(x))
        return made.update(x, state)[0]

    x = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    found = np.asarray(over_members(body, x))
    np.testing.assert_allclose(found, np.stack([x.mean(0)] * 2), atol=0.03)


def test_another_size_than_the_axis_s_is_refused() -> None:
    mixing = exchange.gossip(AXIS, topology="ring", size=2)

    def run(wire, leaf):
        return mixing.update(leaf, mixing.init(leaf))[0]

    with pytest.raises(ValueError, match="has 4 members"):
        over_members(run, np.ones((4, 3), np.float32))
