"""Signs with a scale a block: what is lost, and which leaves are not coded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.compression.sign import sign
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import compressor_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.plan import TensorSpec
from diamond.dsl.vocabulary import Sign
from tests.compiler.exchange.rounds import drawn, exchanged, means_of

BLOCK = 16


def _through(vector, block=BLOCK):
    codec = sign(block=block)
    return np.asarray(codec.decode(codec.encode(jnp.asarray(vector)), vector.dtype))


@given(
    arrays.arrays(
        np.float32,
        2 * BLOCK,
        elements=st.floats(-(2.0**30), 2.0**30, width=32, allow_subnormal=False),
    )
)
def test_the_square_lost_is_the_square_less_the_scale_s(vector) -> None:
    """|C(v) - v|^2 = |v|^2 - n s^2, block by block."""
    exact = vector.reshape(-1, BLOCK).astype(np.float64)
    coded = _through(vector).reshape(-1, BLOCK).astype(np.float64)
    square = (exact**2).sum(1)
    lost = ((coded - exact) ** 2).sum(1)
    wanted = square - BLOCK * np.abs(exact).mean(1) ** 2
    assert (np.abs(lost - wanted) <= 1e-5 * square + 1e-60).all()


def test_values_of_one_size_are_kept() -> None:
    vector = np.where(np.arange(BLOCK) % 3 == 0, -0.5, 0.5).astype(np.float32)
    assert np.array_equal(_through(vector), vector)


def test_zero_counts_as_positive() -> None:
    vector = np.array([0, -4, 0, 0, 0, 0, 0, -0.0], np.float32)
    assert _through(vector, 8).tolist() == [0.5, -0.5, *[0.5] * 6]


def test_a_mean_is_over_the_values_and_not_over_the_padding() -> None:
    """100 and 1100 ones in blocks of 1024 come out as ones, and go on to do so."""
    for members in (1, 2, 4):
        compressor = coded(sign(block=1024), members)
        ones = [np.ones((members, n, 1), np.float32) for n in (100, 1100)]
        _, state = exchanged(compressor, [ones])
        for made in means_of(compressor, [ones] * 3):
            for leaf in made:
                np.testing.assert_array_equal(leaf, np.ones_like(leaf))
        assert not state.worker.any()


def test_of_no_two_scales_is_one_spoilt_by_a_neighbour_s_padding() -> None:
    leaf = np.full((1, 3, 7), 2.0, np.float32)
    leaf[:, 2, 3:] = -5.0  # the last block of 16 holds 2, -5, -5, -5, -5
    [[made]] = means_of(coded(sign(block=16), 1), [[leaf]])
    np.testing.assert_array_equal(made.ravel()[:16], 2.0)
    np.testing.assert_allclose(made.ravel()[16:], [4.4, *[-4.4] * 4], rtol=1e-6)


def test_small_tensors_and_vectors_cross_as_they_are() -> None:
    shapes = ((7,), (4, 8), (3, 2))
    tensors = tuple(
        TensorSpec(f"t{place}", shape, "float32") for place, shape in enumerate(shapes)
    )
    made = compressor_of(Sign(block=8), Site(Tape().wire("host", 4), tensors))
    note = "2 of 3 tensors cross as they are: 1 vectors, 1 smaller than a block of 8"
    assert made.equations[-1] == note
    [values] = drawn(4, rounds=1, shapes=shapes)
    [(vector, matrix, small)] = means_of(made, [values])
    np.testing.assert_allclose(vector, values[0].mean(0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(small, values[2].mean(0), rtol=1e-5, atol=1e-7)
    assert np.abs(matrix - values[1].mean(0)).max() > 0.01


@pytest.mark.parametrize(("feedback", "stalls"), [(True, False), (False, True)])
def test_without_feedback_signs_stall(feedback: bool, stalls: bool) -> None:
    """Gradients with equal signs move all values alike, and so never apart.

    The idea of the counterexamples of Karimireddy et al., arXiv 1901.09847, section 3.
    """
    codec = sign(block=8, feedback=feedback)
    key = jnp.uint32(0)

    @jax.jit
    def step(x, lost, row):
        gradient = row * (row @ (x - wanted))
        sent = gradient + lost
        arrived = codec.decode(codec.encode(sent, key), sent.dtype)
        return x - 0.05 * arrived, (sent - arrived) * feedback

    draw = np.random.default_rng(0)
    rows = jnp.asarray(draw.uniform(0.1, 1.0, (16, 8)), jnp.float32)
    wanted = jnp.asarray(draw.standard_normal(8), jnp.float32)
    x = lost = jnp.zeros(8, jnp.float32)
    for number in range(3000):
        x, lost = step(x, lost, rows[number % 16])
    left = float(jnp.linalg.norm(x - wanted) / jnp.linalg.norm(wanted))
    assert (left > 0.5) == stalls, left
