"""The contract of every codec, a row a codec."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diamond.compiler.exchange.noise import key_of
from diamond.compiler.exchange.tables import CODECS, codec_of
from diamond.dsl.vocabulary import Cast, Int4, Int8, NoCompression, Qsgd, Sign
from tests.compiler.exchange import numpy_codecs

# Terms with the bytes of 96 of their values on the wire.
BYTES = {
    NoCompression(): 384,
    Cast(to="bf16"): 192,
    Cast(to="fp16"): 192,
    Cast(to="fp8_e4m3"): 96,
    Cast(to="fp8_e5m2"): 96,
    Int8(block=8): 96 + 4 * 12,
    Int8(block=32): 96 + 4 * 3,
    Int4(block=6): 48 + 4 * 16,
    Int4(block=32): 48 + 4 * 3,
    Qsgd(bits=2, bucket=8): 24 + 4 * 12,
    Qsgd(bits=2, bucket=3): 32 + 4 * 32,
    Qsgd(bits=4, bucket=32): 48 + 4 * 3,
    Qsgd(bits=8, bucket=12): 96 + 4 * 8,
    Sign(block=8): 12 + 4 * 12,
    Sign(block=32): 12 + 4 * 3,
}
SIZE = 96
KEY = key_of(numpy_codecs.SEED, 3, 1)
DRAW = numpy_codecs.uniform(numpy_codecs.SEED, 3, 1, SIZE)
VECTOR = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
each_codec = pytest.mark.parametrize("term", BYTES, ids=str)


def _through(term, vector):
    codec = codec_of(term)
    payload = codec.encode(jnp.asarray(vector), KEY)
    return np.asarray(codec.decode(payload, vector.dtype))


def test_every_row_is_tested() -> None:
    assert {type(term) for term in BYTES} == set(CODECS)


@each_codec
def test_it_is_numpy_s(term) -> None:
    draw = DRAW if codec_of(term).draws else None
    wanted = numpy_codecs.through(term, VECTOR, draw)
    np.testing.assert_allclose(_through(term, VECTOR), wanted, rtol=2e-6)


@each_codec
def test_the_payload_takes_the_bytes_that_it_should(term) -> None:
    payload = jax.tree.leaves(codec_of(term).encode(jnp.asarray(VECTOR), KEY))
    assert sum(part.nbytes for part in payload) == BYTES[term]


@each_codec
def test_the_payload_divides_as_the_vector_does(term) -> None:
    codec = codec_of(term)
    runs = SIZE // codec.block
    whole = jax.tree.leaves(codec.encode(jnp.asarray(VECTOR), KEY))
    first = jax.tree.leaves(codec.encode(jnp.asarray(VECTOR[: codec.block]), KEY))
    for part, all_of_it in zip(first, whole, strict=True):
        assert all_of_it.shape == (runs * len(part), *part.shape[1:])
        assert np.array_equal(all_of_it[: len(part)], part)


@each_codec
def test_shape_and_type_are_kept_and_zero_is_zero(term) -> None:
    decoded = _through(term, np.zeros(SIZE, np.float32))
    assert decoded.dtype == np.float32
    assert decoded.shape == (SIZE,)
    assert not decoded.any()


@pytest.mark.parametrize("term", [Int8(), Int4(), Qsgd(), Sign()], ids=str)
def test_a_scale_without_a_reciprocal_in_fp32_is_zero(term) -> None:
    tiny = np.full(1024, 2.0**-140)
    with jax.enable_x64(True):
        assert not _through(term, tiny).any()
        assert _through(term, tiny * 2.0**30).any()


@each_codec
def test_blocks_are_coded_alone(term) -> None:
    block = codec_of(term).block
    other = VECTOR.copy()
    other[block:] *= 7
    one, two = _through(term, VECTOR), _through(term, other)
    assert np.array_equal(one[:block], two[:block])
    assert not np.array_equal(one[block:], two[block:])


@each_codec
def test_the_way_without_the_payload_ends_at_the_same(term) -> None:
    codec = codec_of(term)
    if codec.rounded is not None:
        short = codec.rounded(jnp.asarray(VECTOR), KEY)
        assert np.array_equal(short, _through(term, VECTOR))


@each_codec
def test_jit_equals_no_jit(term) -> None:
    codec = codec_of(term)

    def through(vector, key):
        return codec.decode(codec.encode(vector, key), vector.dtype)

    plain = through(jnp.asarray(VECTOR), KEY)
    assert np.array_equal(jax.jit(through)(VECTOR, KEY), plain)


@each_codec
def test_only_what_draws_depends_on_the_key(term) -> None:
    codec = codec_of(term)
    keys = [key_of(1, count, 0) for count in range(2)]
    one, two = (codec.encode(jnp.asarray(VECTOR), key) for key in keys)
    same = jax.tree.map(np.array_equal, one, two)
    assert jax.tree.all(same) != codec.draws


@each_codec
def test_exact_is_exact_and_the_others_lose_something(term) -> None:
    assert np.array_equal(_through(term, VECTOR), VECTOR) == codec_of(term).is_exact


@each_codec
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_in_sight_in_its_block(term, value) -> None:
    block = codec_of(term).block
    wild = VECTOR.copy()
    wild[block] = value
    decoded = _through(term, wild)
    assert not np.isfinite(decoded[block])
    assert np.isfinite(decoded[:block]).all()
    assert np.isfinite(decoded[2 * block :]).all()


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        16,
        elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
    )
)
def test_integers_err_by_half_a_step_at_most(vector) -> None:
    blocks = vector.reshape(-1, 8).astype(np.float64)
    for term, top in ((Int8(block=8), 127), (Int4(block=8), 7)):
        step = np.abs(blocks).max(axis=1, keepdims=True) / top
        error = np.abs(_through(term, vector).reshape(-1, 8) - blocks)
        assert (error <= step * (0.5 + 1e-5) + 1e-37).all()


@pytest.mark.parametrize(
    ("to", "relative"),
    [("bf16", 2**-8), ("fp16", 2**-11), ("fp8_e4m3", 2**-4), ("fp8_e5m2", 2**-3)],
)
def test_cast_errs_by_half_a_unit_in_the_last_place(to, relative) -> None:
    vector = VECTOR[np.abs(VECTOR) > 0.1]
    error = np.abs(_through(Cast(to=to), vector) / vector - 1)
    assert relative / 4 < error.max() <= relative


@pytest.mark.parametrize("to", ["bf16", "fp16", "fp8_e4m3", "fp8_e5m2"])
def test_cast_keeps_an_overflow_in_sight(to) -> None:
    wild = np.array([np.inf, -np.inf, np.nan, 1.0], np.float32)
    assert np.isnan(_through(Cast(to=to), wild)).tolist() == [True, True, True, False]


def test_int8_keeps_an_overflow_in_sight() -> None:
    wild = np.array([np.inf, 1.0, 2.0, 3.0, np.nan, 1.0], np.float32)
    shown = np.isnan(_through(Int8(block=2), wild)).tolist()
    assert shown == [True, True, False, False, True, True]


def test_cast_clips_to_the_type_s_range() -> None:
    wide = np.array([1e30, -1e30], np.float32)
    assert _through(Cast(to="fp16"), wide).tolist() == [65504.0, -65504.0]
    assert _through(Cast(to="fp8_e4m3"), wide).tolist() == [448.0, -448.0]
