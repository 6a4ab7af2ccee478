"""The contract of every codec, a row a codec."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from diamond.compiler.exchange.tables import CODECS, codec_of
from diamond.dsl.vocabulary import Cast, Int8, NoCompression

TERMS = [
    NoCompression(),
    *(Cast(to=to) for to in ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2")),
    Int8(block=8),
    Int8(block=32),
]
HLO_NAMES = {"float32": "f32", "int8": "s8", "uint16": "u16", "uint8": "u8"}
VECTOR = np.random.default_rng(0).normal(size=64).astype(np.float32)
each_codec = pytest.mark.parametrize("term", TERMS, ids=str)


def _through(term, vector):
    codec = codec_of(term)
    return np.asarray(codec.decode(codec.encode(jnp.asarray(vector)), vector.dtype))


def test_every_row_is_tested() -> None:
    assert {type(term) for term in TERMS} == set(CODECS)


@each_codec
def test_the_payload_is_the_declared_one(term) -> None:
    codec = codec_of(term)
    payload = jax.tree.leaves(codec.encode(jnp.asarray(VECTOR)))
    if codec.is_exact:
        assert len(payload) == 1
        return
    found = [(HLO_NAMES[str(part.dtype)], part.size) for part in payload]
    assert found == list(codec.payload(64))


@each_codec
def test_shape_and_type_are_kept_and_zero_is_zero(term) -> None:
    decoded = _through(term, np.zeros(64, np.float32))
    assert decoded.dtype == np.float32
    assert not decoded.any()


@each_codec
def test_blocks_are_coded_alone(term) -> None:
    codec = codec_of(term)
    other = VECTOR.copy()
    other[codec.block :] *= 7
    one, two = _through(term, VECTOR), _through(term, other)
    assert np.array_equal(one[: codec.block], two[: codec.block])


@each_codec
def test_jit_equals_no_jit(term) -> None:
    codec = codec_of(term)

    def through(vector):
        return codec.decode(codec.encode(vector), vector.dtype)

    assert np.array_equal(jax.jit(through)(VECTOR), through(jnp.asarray(VECTOR)))


@each_codec
def test_exact_is_exact_and_the_others_lose_something(term) -> None:
    assert np.array_equal(_through(term, VECTOR), VECTOR) == codec_of(term).is_exact


@settings(max_examples=50, deadline=None)
@given(
    arrays.arrays(
        np.float32,
        16,
        elements=st.floats(-(2.0**99), 2.0**99, width=32, allow_subnormal=False),
    )
)
def test_int8_errs_by_half_a_step_at_most(vector) -> None:
    blocks = vector.reshape(-1, 8).astype(np.float64)
    step = np.abs(blocks).max(axis=1, keepdims=True) / 127
    error = np.abs(_through(Int8(block=8), vector).reshape(-1, 8) - blocks)
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
