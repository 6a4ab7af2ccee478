"""Top-k and deep gradient compression: the largest values, and what waits."""

import numpy as np
import pytest

from diamond.compiler.exchange.compression.dgc import DgcState, dgc
from diamond.compiler.exchange.compression.topk import topk
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import compressor_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.plan import TensorSpec
from diamond.dsl.vocabulary import Dgc
from tests.compiler.exchange.rounds import drawn, exchanged, means_of, messages_of

EACH_SIZE = pytest.mark.parametrize("members", [1, 2, 4])


def _largest(flat, k):
    return np.argsort(-np.abs(flat), kind="stable")[:k]


def _chosen(leaf, k):
    """Returns the k largest of a leaf at their places, and the leaf without them."""
    sent, left = np.zeros_like(leaf), leaf.copy()
    places = _largest(leaf.ravel(), k)
    sent.flat[places] = leaf.flat[places]
    left.flat[places] = 0
    return sent, left, places


def _mean(parts):
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total * np.float32(1 / len(parts))


@EACH_SIZE
@pytest.mark.parametrize("feedback", [True, False])
def test_topk_is_numpy_s(members, feedback) -> None:
    rounds = drawn(members)
    made, state = exchanged(topk(density=0.2, feedback=feedback), rounds)
    for place, k in ((0, 6), (1, 6)):
        lost = np.zeros_like(rounds[0][place])
        for number, values in enumerate(rounds):
            wanted = values[place] + lost
            found = [_chosen(one, k) for one in wanted]
            if feedback:
                lost = np.stack([left for _, left, _ in found])
            wanted = _mean([sent for sent, _, _ in found])
            for copy in made[number][place]:
                np.testing.assert_array_equal(copy, wanted)
        if feedback:
            np.testing.assert_array_equal(state.lost[place], lost)
    assert feedback or state.lost is None


def test_what_is_sent_and_what_is_kept_add_up() -> None:
    rounds = drawn(1)
    made, state = exchanged(topk(density=0.1), rounds)
    for place in (0, 1):
        sent = sum(mean[place][0] for mean in made)
        total = sum(values[place][0] for values in rounds)
        np.testing.assert_allclose(sent + state.lost[place][0], total, rtol=1e-5)


@EACH_SIZE
@pytest.mark.parametrize("compressor", [topk(density=1), dgc(density=1)])
def test_density_one_is_the_mean(members, compressor) -> None:
    rounds = drawn(members)
    for values, made in zip(rounds, means_of(compressor, rounds), strict=True):
        for leaf, mean in zip(values, made, strict=True):
            np.testing.assert_allclose(mean, leaf.mean(0), rtol=1e-6, atol=1e-7)


def test_one_value_crosses_at_least_and_ties_go_to_the_lower_place() -> None:
    values = np.array([[[1, -2], [2, 2]]], np.float32)
    [[made]] = means_of(topk(density=0.01), [[values]])
    np.testing.assert_array_equal(made, [[0, -2], [0, 0]])


@pytest.mark.parametrize("compressor", [topk(density=0.1), dgc(density=0.1)])
@pytest.mark.parametrize("wild", [np.nan, -np.nan, np.inf])
def test_what_is_no_number_stays_in_sight(compressor, wild) -> None:
    rounds = drawn(2, rounds=1)
    rounds[0][1][1, 2, 3] = wild
    [made] = means_of(compressor, rounds)
    assert not np.isfinite(made[1][2, 3])


def test_values_cross_in_one_message_and_places_in_another() -> None:
    wanted = [("all-gather", "f32", 6 + 6), ("all-gather", "s32", 6 + 6)]
    assert messages_of(topk(density=0.2), 4) == wanted
    assert messages_of(dgc(density=0.2), 4) == wanted


@EACH_SIZE
def test_dgc_is_numpy_s(members) -> None:
    rounds = drawn(members, rounds=4)
    made, state = exchanged(dgc(density=0.1, momentum=0.75), rounds)
    for place, k in ((0, 3), (1, 3)):
        speed = waiting = np.zeros_like(rounds[0][place])
        for number, values in enumerate(rounds):
            speed = np.float32(0.75) * speed + values[place]
            waiting = waiting + speed
            found = [_chosen(one, k) for one in waiting]
            waiting = np.stack([left for _, left, _ in found])
            for one, (_, _, places) in zip(speed, found, strict=True):
                one.flat[places] = 0
            wanted = _mean([sent for sent, _, _ in found])
            for copy in made[number][place]:
                np.testing.assert_allclose(copy, wanted, rtol=1e-6)
        np.testing.assert_allclose(state.momentum[place], speed, rtol=1e-6)
        np.testing.assert_allclose(state.waiting[place], waiting, rtol=1e-6)


def test_dgc_without_momentum_is_topk() -> None:
    rounds = drawn(2)
    one = means_of(dgc(density=0.2, momentum=0.0), rounds)
    two = means_of(topk(density=0.2), rounds)
    for a, b in zip(one, two, strict=True):
        np.testing.assert_allclose(a[0], b[0], rtol=1e-6)
        np.testing.assert_allclose(a[1], b[1], rtol=1e-6)


@pytest.mark.parametrize("exclude", [(), ("a",), ("a", "w")])
def test_what_crosses_as_it_is_has_the_momentum_too(exclude) -> None:
    """Each mean gets `u <- m u + mean`; so a constant 1 comes to move by 1/(1 - m)."""
    shapes = ((7,), (6, 5), (4, 7))
    tensors = tuple(
        TensorSpec(name, shape, "float32")
        for name, shape in zip("baw", shapes, strict=True)
    )
    dense = [0, *(1 for _ in exclude[:1]), *(2 for _ in exclude[1:])]
    form = Dgc(density=0.1, momentum=0.75, exclude=exclude)
    made = compressor_of(form, Site(Tape().wire("host", 4), tensors))
    assert made.equations[-1] == "there {y} <- u <- 0.75 u + {y}"
    rounds = drawn(4, rounds=4, shapes=shapes)
    speeds = [np.zeros(shape) for shape in shapes]
    for values, means in zip(rounds, means_of(made, rounds), strict=True):
        speeds = [0.75 * u + v.mean(0) for u, v in zip(speeds, values, strict=True)]
        for place in dense:
            np.testing.assert_allclose(
                means[place], speeds[place], rtol=1e-4, atol=1e-6
            )


def test_without_momentum_nothing_is_kept_of_what_crosses_as_it_is() -> None:
    tensors = (TensorSpec("b", (7,), "float32"), TensorSpec("w", (6, 5), "float32"))
    form = Dgc(density=0.1, momentum=0.0)
    made = compressor_of(form, Site(Tape().wire("host", 4), tensors))
    assert isinstance(made.init([np.ones(7), np.ones((6, 5))]), DgcState)
