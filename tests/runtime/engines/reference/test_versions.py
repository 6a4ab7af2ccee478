"""`asynchronous` and `hogwild`: gradients at parameters of some steps ago."""

import math

import jax
import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    Asynchronous,
    Delays,
    Hogwild,
    Int8,
    Pipelined,
    Synchronous,
)
from diamond.runtime.engines.reference import noise
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    engine_of,
    run,
    then,
)
from tests.schemes import tiny_batch

SEED = noise.seed_of(noise.Use.AGES, "axis0")

pytestmark = pytest.mark.usefixtures("x64")


def late(mean, **arguments):
    """Returns a rule whose delay is always the same."""
    law = Delays("constant", mean=float(mean))
    return Asynchronous(max_staleness=mean, delays=law, **arguments)


@pytest.mark.parametrize("rule", [Asynchronous(max_staleness=0), Hogwild(0)])
def test_without_delay_it_is_synchronous(rule):
    got = run(On(4, rule, Int8(8)), steps=6, optimizer=ADAM)
    close(got, run(On(4, codec=Int8(8)), steps=6, optimizer=ADAM))


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # Gradients at 0, 0, 2, 4.
        (late(1), [2, 4, 5, 5]),
        (late(1, compensation="damped"), [2, 4, 5, 5]),
        # Gradients -4, -4, -4 and -3, halved.
        (late(2, compensation="damped"), [1, 2, 3, 3.75]),
        # -4 + 16/2 * 0, then -4 + 16/2 * 2, then at 2 from -4: -2 + 4/2 * -6
        (late(1, compensation="dc", strength=0.5), [2, -4, 3]),
    ],
)
def test_on_a_parabola_by_hand(rule, expected):
    assert Parabola(On(1, rule)).steps([4], len(expected)) == [[x] for x in expected]


@pytest.mark.parametrize("delay", [0, 1, 2, 3])
def test_a_constant_delay_is_stable_up_to_the_bound(delay):
    bound = 2 * math.sin(math.pi / (4 * delay + 2))
    h, far = 0.5, {}
    for share in (0.9, 1.1):
        bowls = Parabola(On(1, late(delay)), lr=share * bound / h, curvature=h)
        far[share] = abs(bowls.steps([1], 400)[-1][0] - 1 / h)
    assert far[0.9] < 1e-2
    assert far[1.1] > 1e2


def test_a_constant_delay_is_pipelined_but_for_its_beginning():
    # x(t - d) before the beginning is x there; a pipeline sends nothing.
    early = Parabola(On(2, late(2))).steps([4, 8], 9)
    piped = Parabola(On(2, Pipelined(2))).steps([4, 8], 11)
    assert piped[2:] == early


def test_drawn_delays_are_a_loop():
    hand, seen = ByHand(4), []
    for step in range(9):
        seen.append(list(hand.x))
        ages = [0 if step < 2 else _delay(step - 2, i) for i in range(4)]
        old = [seen[max(step - d, min(step, 2))][i] for i, d in enumerate(ages)]
        g = hand.gradients(step, at=old)
        g = [v * (1 / max(d, 1)) for v, d in zip(g, ages, strict=True)]
        hand.update([sum(g) / 4] * 4)
    law = Delays("geometric", mean=1.0, seed=5)
    rule = Asynchronous(3, "damped", delays=law)
    close(run(On(4, then(Synchronous(), 2, rule)), steps=9), hand.x)


def _delay(age, place):
    seed = noise.seed_of(noise.Use.DELAYS, "axis0", seed=5)
    u = noise.uniform(seed, age, place, 1)[0]
    return sum(u >= threshold for threshold in (0.5, 0.75, 0.875))


def test_gradients_of_an_inner_axis_are_averaged_before_they_are_compensated():
    hand, before = ByHand(4), None
    for step in range(4):
        old = hand.x if before is None else before
        g = hand.gradients(step, at=old)
        pairs = [(g[0] + g[1]) / 2, (g[2] + g[3]) / 2]
        way = hand.x[0] - old[0]
        mean = sum(v + 0.5 * v * v * way for v in pairs) / 2
        before = list(hand.x)
        hand.update([mean] * 4)
    outer = On(2, late(1, compensation="dc", strength=0.5))
    close(run(outer, On(2), steps=4), hand.x)


def test_coordinates_are_of_steps_of_their_own():
    hand, seen = ByHand(2, ADAM), []
    for step in range(7):
        seen.append(hand.x[0])
        g = hand.gradients(step, at=[_torn(seen, step, i) for i in range(2)])
        hand.update([(g[0] + g[1]) / 2] * 2)
    close(run(On(2, Hogwild(2)), steps=7, optimizer=ADAM), hand.x)


def _torn(seen, step, place):
    sizes = enumerate((5, 30, 3, 15))
    seeds = [(noise.seed_within(SEED, leaf), n) for leaf, n in sizes]
    u = [noise.uniform(seed, step, place, n) for seed, n in seeds]
    ages = (np.concatenate(u).astype(float) * 3).astype(int)
    back = [seen[max(step - d, 0)] for d in range(3)]
    return np.choose(ages, back)


def test_losses_are_those_where_the_gradients_were_taken():
    engine = engine_of(On(2, late(1)))
    state, losses = engine.init(jax.random.key(0)), []
    for _ in range(3):
        state, metrics = engine.step(state, tiny_batch(0))
        losses.append(metrics["loss"].tolist())
    assert losses[0] == losses[1] != losses[2]
