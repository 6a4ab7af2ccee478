"""Asynchronous and hogwild: gradients at old parameters."""

import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.consistency.asynchronous import asynchronous
from diamond.compiler.exchange.consistency.hogwild import hogwild
from diamond.compiler.exchange.consistency.synchronous import synchronous
from diamond.compiler.exchange.delays import law_of
from diamond.compiler.exchange.noise import Stream, key_of, uniform
from diamond.compiler.exchange.wire import Tape
from tests.compiler.exchange.members import AXIS
from tests.compiler.exchange.numpy_codecs import seed_of
from tests.compiler.exchange.test_delays import delays_of
from tests.compiler.exchange.training import LR, SIZE, START, gradient, trained

LAW = law_of(law="geometric", mean=2.0, seed=6, most=3)


def _asynchronous(compensation="none", law=LAW, most=3):
    return lambda wire: asynchronous(
        max_staleness=most,
        compensation=compensation,
        strength=0.3,
        delays=law,
        wire=wire,
    )


def _compensated(name, g, age, moved):
    if name == "damped":
        return g / max(age, 1)
    return g + 0.3 * g * g * moved if name == "dc" else g


@pytest.mark.parametrize("compensation", ["none", "damped", "dc"])
@pytest.mark.parametrize("size", [1, 4])
def test_gradients_are_taken_at_old_parameters(compensation, size) -> None:
    found = trained(_asynchronous(compensation), size=size)
    ages = delays_of(LAW, size, len(found.x))
    assert set(ages.ravel()) == {0, 1, 2, 3}
    xs = [START]
    for step, copies in enumerate(found.x):
        means = []
        for i in range(size):
            then = xs[max(step - ages[step, i], 0)]
            g = gradient(then, step, i)
            means.append(_compensated(compensation, g, ages[step, i], xs[-1] - then))
        xs.append(xs[-1] - LR * np.mean(means, axis=0))
        expected = np.stack([xs[-1]] * size)
        np.testing.assert_allclose(copies, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 4])
def test_coordinates_differ_in_age_under_hogwild(size) -> None:
    found = trained(lambda wire: hogwild(max_staleness=2, wire=wire), size=size)
    xs, seen = [START] * 3, set()
    seeds = [seed_of(Stream.AGES, leaf) for leaf in range(2)]
    for step, copies in enumerate(found.x):
        means = []
        for i in range(size):
            drawn = [
                uniform(key_of(seed, step, i), n)
                for seed, n in zip(seeds, (6, 3), strict=True)
            ]
            ages = np.floor(np.concatenate(drawn) * 3).astype(int)
            seen |= set(ages.tolist())
            view = np.choose(ages, xs[:-4:-1])
            means.append(gradient(view, step, i))
        xs.append(xs[-1] - LR * np.mean(means, axis=0))
        np.testing.assert_allclose(copies, np.stack([xs[-1]] * size), atol=1e-5)
    assert seen == {0, 1, 2}


@pytest.mark.parametrize("rule_of", [_asynchronous(), lambda w: hogwild(wire=w)])
def test_copies_are_equal_bit_for_bit(rule_of) -> None:
    copies = trained(rule_of).x
    assert (copies == copies[:, :1]).all()


@pytest.mark.parametrize(
    "rule_of",
    [
        _asynchronous(law=law_of(law="uniform", mean=2.0, seed=1, most=0), most=0),
        _asynchronous("dc", law=law_of(law="constant", mean=0.0, seed=1, most=2)),
        lambda wire: hogwild(max_staleness=0, wire=wire),
    ],
    ids=["no_staleness", "no_delay", "hogwild"],
)
def test_without_staleness_it_is_synchronous(rule_of) -> None:
    found, tight = trained(rule_of), trained(lambda wire: synchronous())
    np.testing.assert_array_equal(found.x, tight.x)


@pytest.mark.parametrize("delay", [0, 1, 2, 3])
def test_a_constant_delay_is_stable_up_to_the_known_learning_rate(delay) -> None:
    """With x <- x - e h x(t - tau), x tends to 0 iff e h < 2 sin(pi / (4 tau + 2))."""
    law = law_of(law="constant", mean=float(delay), seed=0, most=delay)
    rule = asynchronous(max_staleness=delay, delays=law, wire=Tape().wire(AXIS, 1))

    def after(lr):
        x = [jnp.ones(1)]
        state = rule.init(x, x)
        for _ in range(600):
            given, state = rule.accept(x, rule.view(x, state), x, state)
            x = [x[0] - lr * given[0]]
        return float(abs(x[0][0]))

    edge = 2 * np.sin(np.pi / (4 * delay + 2))
    assert after(0.97 * edge) < 0.2 < 5 < after(1.03 * edge)


def test_versions_differ_from_copy_to_copy_and_the_state_does_not() -> None:
    found = trained(_asynchronous())
    for leaf in (found.rule.clock, *found.rule.past):
        assert (np.asarray(leaf) == np.asarray(leaf)[:1]).all()
    assert found.rule.clock.tolist() == [12] * 4
    assert sum(leaf[0, 0].size for leaf in found.rule.past) == SIZE
