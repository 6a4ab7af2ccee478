"""GradiVeQ: coefficients in a basis that was learned from dense means."""

import numpy as np
import pytest

from diamond.compiler.exchange.compression.gradiveq import gradiveq
from diamond.compiler.exchange.noise import Stream, key_of, seed_within, uniform
from diamond.compiler.exchange.transformation import synchronous
from diamond.compiler.exchange.wire import mesh_wire
from diamond.dsl.vocabulary import Gradiveq
from tests.compiler.exchange.members import AXIS, over_members
from tests.compiler.exchange.rounds import drawn, exchanged, means_of, messages_of

SHAPES = ((7, 9), (4, 8, 2))
SLICE, KEEP, EVERY = 6, 2, 3


def _orthonormal(p):
    q, r = np.linalg.qr(p)
    return q * np.sign(np.diag(r))


def _rows(flat):
    return np.pad(flat, (0, -len(flat) % SLICE)).reshape(-1, SLICE)


def _by_hand(rounds, leaf, seed, feedback):
    """The definition in fp64; means, residuals and the last basis."""
    values = [each[leaf].astype(np.float64) for each in rounds]
    values = [each.reshape(len(each), -1) for each in values]
    size = values[0].shape[1]
    noise = uniform(key_of(seed_within(seed, leaf), 0, 0), (SLICE, KEEP))
    basis, middle = _orthonormal(2 * np.asarray(noise, float) - 1), np.zeros(SLICE)
    lost, made = np.zeros_like(values[0]), []
    for number, v in enumerate(values):
        wanted = v + lost
        if number % EVERY == 0:
            mean, lost = wanted.mean(0), np.zeros_like(lost)
            middle = _rows(mean).mean(0)
            apart = _rows(mean) - middle
            for _ in range(2):
                basis = _orthonormal(apart.T @ apart @ basis)
        else:
            sent = [(_rows(p) - middle) @ basis for p in wanted]
            mean = (np.mean(sent, 0) @ basis.T + middle).ravel()[:size]
            if feedback:
                own = [(z @ basis.T + middle).ravel()[:size] for z in sent]
                lost = wanted - np.stack(own)
        made.append(mean)
    return made, lost, basis


@pytest.mark.parametrize("members", [1, 2, 4])
@pytest.mark.parametrize("feedback", [True, False])
def test_gradiveq_is_numpy_s(members, feedback) -> None:
    rounds = drawn(members, rounds=6, shapes=SHAPES)
    compressor = gradiveq(
        slice=SLICE, keep=KEEP, every=EVERY, feedback=feedback, seed=3
    )
    made, state = exchanged(compressor, rounds)
    for leaf, shape in enumerate(SHAPES):
        means, lost, basis = _by_hand(rounds, leaf, 3, feedback)
        for number, wanted in enumerate(means):
            for copy in made[number][leaf]:
                assert copy.shape == shape
                np.testing.assert_allclose(copy.ravel(), wanted, atol=2e-4)
        np.testing.assert_allclose(state.bases[leaf].columns[0], basis, atol=2e-4)
        if feedback:
            kept = state.lost[leaf].reshape(lost.shape)
            np.testing.assert_allclose(kept, lost, atol=2e-4)
    assert feedback or state.lost is None


def test_turns_begin_with_a_dense_one() -> None:
    assert gradiveq(every=4).turns == (0, 1, 1, 1)
    assert gradiveq(every=1).turns == (0,)


@pytest.mark.parametrize("members", [1, 4])
def test_keeping_all_of_a_slice_is_the_mean(members) -> None:
    rounds = drawn(members, shapes=SHAPES)
    compressor = gradiveq(slice=4, keep=4, every=3)
    for values, made in zip(rounds, means_of(compressor, rounds), strict=True):
        for leaf, mean in zip(values, made, strict=True):
            np.testing.assert_allclose(mean, leaf.mean(0), atol=1e-5)


def test_values_in_a_plane_are_exact_once_it_is_learned() -> None:
    rng = np.random.default_rng(4)
    plane = rng.standard_normal((KEEP, SLICE))
    middle = rng.standard_normal(SLICE)
    rounds = [
        [(rng.standard_normal((2, 8, KEEP)) @ plane + middle).astype(np.float32)]
        for _ in range(3)
    ]
    # The basis is that of the first mean, whose mean row lies in the plane too.
    made = means_of(gradiveq(slice=SLICE, keep=KEEP, every=3), rounds)
    for values, mean in zip(rounds, made, strict=True):
        np.testing.assert_allclose(mean[0], values[0].mean(0), atol=1e-4)


def test_what_is_no_number_stays_in_sight() -> None:
    rounds = drawn(2, rounds=2, shapes=SHAPES)
    rounds[1][0][1, 2, 3] = np.nan
    _, made = means_of(gradiveq(slice=SLICE, keep=KEEP), rounds)
    assert np.isnan(made[0]).any()


def test_values_cross_once_and_then_coefficients() -> None:
    compressor = gradiveq(slice=SLICE, keep=KEEP)
    # 63 and 64 values: 11 rows of 6 each.
    assert messages_of(compressor, 4, SHAPES) == [("all-reduce", "f32", 63 + 64)]
    wanted = [("all-reduce", "f32", 2 * (11 + 11))]
    assert messages_of(compressor, 4, SHAPES, turn=1) == wanted


def test_it_takes_turns_in_a_loop_of_one_s_own() -> None:
    rounds = drawn(2, rounds=4, shapes=SHAPES)
    term = Gradiveq(slice=SLICE, keep=KEEP, every=EVERY)

    def run(wire, *rounds):
        exchange = synchronous(AXIS, compression=term)
        state, means = exchange.init(rounds[0]), []
        for values in rounds:
            mean, state = exchange.update(values, state)
            means.append(mean)
        return means

    compressor = gradiveq(
        slice=SLICE,
        keep=KEEP,
        every=EVERY,
        seed=mesh_wire(AXIS, 2).stream_alike(Stream.BASES),
    )
    wanted, _ = exchanged(compressor, rounds)
    for one, other in zip(over_members(run, *rounds), wanted, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_basis_is_learned_from_values_whose_squares_vanish() -> None:
    rounds = drawn(1, rounds=1, shapes=((9, 16),))
    compressor = gradiveq(slice=SLICE, keep=KEEP, every=EVERY)
    [large, small] = (
        exchanged(compressor, [[leaf * np.float32(scale) for leaf in rounds[0]]])[1]
        for scale in (1.0, 1e-15)
    )
    assert np.asarray(small.bases[0].columns).any(axis=-2).all()
    for one, other in zip(small.bases[0].columns, large.bases[0].columns, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_more_coefficients_than_values_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 8 can be kept"):
        gradiveq(slice=8, keep=9)
