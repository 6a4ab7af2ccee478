"""1-bit Adam: what the optimizer's state becomes once the variance is frozen."""

import functools

import jax
import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    AllReduce,
    Average,
    Call,
    Int8,
    Local,
    NoCompression,
    OneBit,
)
from diamond.runtime.engines.reference.vectors import flatten
from tests.runtime.engines.reference.runs import (
    ADAM,
    ADAMW,
    On,
    close,
    members,
    run,
    then,
    trained,
)
from tests.runtime.engines.reference.runs import engine_of as engine_of_a_task
from tests.schemes import tiny_batch, wide_task_of

CODEC = OneBit(start=3)

# With a tensor that is larger than a block, or nothing would be coded.
engine_of = functools.partial(engine_of_a_task, task=wide_task_of)

pytestmark = pytest.mark.usefixtures("x64")


def adam_of(state, member=0):
    return state.optimizer[member][0]


@pytest.mark.parametrize("optimizer", [ADAM, ADAMW])
def test_it_is_plain_adam_before_it_starts(optimizer):
    got = run(On(4, codec=CODEC), steps=3, optimizer=optimizer)
    close(got, run(On(4), steps=3, optimizer=optimizer))


def test_the_corrected_second_moment_stays_what_it_was():
    engine = engine_of(On(4, codec=CODEC), optimizer=ADAM)
    state = trained(engine, 3)
    frozen = flatten(adam_of(state).nu) / (1 - 0.999**3)
    for step in range(4, 9):
        state = trained(engine, 1, state)
        assert int(adam_of(state).count) == step
        close(flatten(adam_of(state).nu) / (1 - 0.999**step), frozen)
    assert all(
        (flatten(adam_of(state, i).nu) == flatten(adam_of(state).nu)).all()
        for i in range(4)
    )


def test_before_it_starts_the_second_moment_moves():
    engine = engine_of(On(4, codec=OneBit(start=4)), optimizer=ADAM)
    plain = engine_of(On(4), optimizer=ADAM)
    got, expected = (adam_of(trained(e, 4)) for e in (engine, plain))
    close(flatten(got.nu), flatten(expected.nu))


def test_the_momentum_of_the_codec_is_the_optimizers():
    engine = engine_of(On(4, codec=CODEC), optimizer=ADAM)
    for steps in (2, 3, 6):
        state = trained(engine, steps)
        mu = adam_of(state).mu
        (kept,) = state.codecs[0][0][0][0].momentum
        close(kept, mu["conv"]["w"])


def test_a_step_is_adams_by_the_moments():
    engine = engine_of(On(2, codec=CODEC), optimizer=ADAM)
    before = trained(engine, 4)
    after = trained(engine, 1, before)
    mu = {i: flatten(adam_of(s).mu) for i, s in enumerate((before, after))}
    g = (mu[1] - 0.9 * mu[0]) / (1 - 0.9)
    nu = 0.999 * flatten(adam_of(before).nu) + 0.001 * g**2
    way = mu[1] / (1 - 0.9**5) / (np.sqrt(nu / (1 - 0.999**5)) + 1e-8)
    close(members(after)[0], members(before)[0] - 0.003 * way, 1e-9)


def test_other_betas_are_the_schemes():
    given = (("learning_rate", 0.003), ("b1", 0.5), ("b2", 0.75))
    engine = engine_of(On(2, codec=CODEC), optimizer=Call("adam", given))
    state = trained(engine, 3)
    frozen = flatten(adam_of(state).nu) / (1 - 0.75**3)
    state = trained(engine, 2, state)
    close(flatten(adam_of(state).nu) / (1 - 0.75**5), frozen)
    kept = state.codecs[0][0][0][0].momentum[0]
    close(kept, adam_of(state).mu["conv"]["w"])


def test_it_goes_on_when_the_messages_travel_another_way():
    ways = then(AllReduce(algorithm="two_phase"), 6, AllReduce())
    switched = engine_of(On(4, codec=CODEC, who=ways), optimizer=ADAM)
    state = trained(switched, 9)
    alone = trained(engine_of(On(4, codec=CODEC), optimizer=ADAM), 9)
    close(members(state), members(alone), 1e-11)
    assert state.codecs[0][0][0][0].momentum[0].all()


def test_a_state_that_was_reset_goes_on():
    outer = On(2, Local(2, Average(), "reset"))
    engine = engine_of(outer, On(2, codec=OneBit(start=1)), optimizer=ADAM)
    state = trained(engine, 5)
    assert int(adam_of(state).count) == 1
    assert not flatten(adam_of(state).nu).any()
    assert np.isfinite(members(state)).all()


def test_it_thaws_when_another_codec_follows():
    engine = engine_of(On(2, codec=then(CODEC, 5, Int8(8))), optimizer=ADAM)
    state = trained(engine, 5)
    ratio = flatten(adam_of(trained(engine, 1, state)).nu) / flatten(adam_of(state).nu)
    assert np.ptp(ratio) > 1e-4


def test_inside_a_loose_axis_each_group_has_its_own_momentum():
    engine = engine_of(On(2, Local(4)), On(2, codec=CODEC), optimizer=ADAM)
    state, _ = trained(engine, 7), tiny_batch(0)
    first, second, third, _ = (s.momentum[0] for s in state.codecs[1][0][0])
    np.testing.assert_array_equal(first, second)
    assert (first != third).any()
    assert state.codecs[0][0][0] == (None,) * 4
    assert engine.axes[0].at(0).compression == NoCompression()
    assert jax.tree.structure(state) == jax.tree.structure(
        engine.init(jax.random.key(0))
    )
