"""C(p) of the codecs that encode a vector by blocks."""

import ml_dtypes
import numpy as np
import pytest

from diamond.dsl.vocabulary import Cast, Int4, Int8, Qsgd, Sign
from diamond.runtime.engines.reference import noise
from diamond.runtime.engines.reference.compression import cast, int4, int8, qsgd, sign
from tests.runtime.engines.reference.exchanges import normal

DTYPES = [np.float32, np.float64]
NARROW = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}


def draw(n, member=0):
    return noise.uniform(5, 1, member, n)


def halves(n):
    return np.full(n, 0.5, np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("to", NARROW)
def test_a_cast_agrees_with_the_type_itself(to, dtype):
    p = normal(512, dtype) * np.exp(8 * normal(512, dtype, seed=1))
    top = float(ml_dtypes.finfo(NARROW[to]).max)
    want = np.clip(p, -top, top).astype(np.float32).astype(NARROW[to]).astype(dtype)
    got = cast.round_trip(Cast(to=to), p, draw)
    assert got.dtype == dtype
    assert (got == want).all()


def test_a_cast_of_what_is_not_finite_is_not_a_number():
    p = np.array([np.inf, -np.inf, np.nan])
    assert np.isnan(cast.round_trip(Cast(to="fp16"), p, draw)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("codec", "term", "top"),
    [(int8, Int8(block=16), 127), (int4, Int4(block=16), 7)],
)
def test_integers_are_off_by_half_a_level_at_most(codec, term, top, dtype):
    p = normal(160, dtype) * np.exp(normal(160, dtype, seed=1))
    got = codec.round_trip(term, p, draw)
    scale = np.abs(p.reshape(-1, 16)).max(axis=1, keepdims=True) / top
    assert got.dtype == dtype
    assert (np.abs(got - p).reshape(-1, 16) <= scale * (0.5 + 1e-4)).all()
    levels = got.reshape(-1, 16) / scale
    assert np.abs(levels - np.rint(levels)).max() < 1e-4
    assert np.abs(levels).max() <= top + 1e-4


def test_integers_by_hand():
    p = np.array([7.0, -2.5, 3.5, 0.4, 0.0, 0.0, 0.0, 0.0])
    got = int4.round_trip(Int4(block=4), p, draw)
    assert got.tolist() == [7, -2, 4, 0, 0, 0, 0, 0]  # halves go to the even level
    p = np.array([254.0, -3.0, 5.0, 1.0])
    assert int8.round_trip(Int8(block=4), p, draw).tolist() == [254, -4, 4, 0]


def test_a_scale_has_the_precision_of_float32():
    got = int4.round_trip(Int4(block=2), np.array([1.0, 0.3]), draw)
    assert got[0] == 7 * float(np.float32(1 / 7))


@pytest.mark.parametrize("dtype", DTYPES)
def test_signs_lose_what_the_identity_says(dtype):
    term = Sign(block=8)
    p = normal(64, dtype)
    lost = ((sign.round_trip(term, p, draw) - p).reshape(-1, 8) ** 2).sum(axis=1)
    blocks = p.reshape(-1, 8)
    one, two = np.abs(blocks).sum(axis=1) ** 2, (blocks**2).sum(axis=1)
    assert lost == pytest.approx((1 - one / (8 * two)) * two, rel=1e-5)


def test_signs_by_hand():
    p = np.array([1, -2, 0, -0.0, 3, 0, 0, -2, *[0.0] * 8], np.float32)
    got = sign.round_trip(Sign(block=8), p, draw)
    assert got.dtype == np.float32
    assert got[:8].tolist() == [1, -1, 1, 1, 1, 1, 1, -1]
    assert (got[8:] == 0).all()


def test_signs_in_a_block_that_is_filled_up_by_hand():
    p = np.array([1.0, -2.0, 0, 0, 6.0, 0, 0, 0])
    held = np.array([True, True, False, False, True, False, False, False])
    got = sign.round_trip(Sign(block=8), p, draw, held)
    assert got.tolist() == [3, -3, 0, 0, 3, 0, 0, 0]


def test_qsgd_by_hand():
    # norm = 5, s = 7: the levels are 3 * 7 / 5 + 1/2 = 4.7 and 4 * 7 / 5 + 1/2 = 6.1
    got = qsgd.round_trip(Qsgd(bits=4, bucket=2), np.array([3.0, -4.0, 0, 0]), halves)
    assert got == pytest.approx([4 * 5 / 7, -6 * 5 / 7, 0, 0])


def test_qsgd_never_exceeds_the_norm():
    """The norm is rounded to 1, so the value is 1 + 2^-24 of it, plus the lot: 2."""
    p = np.array([1 + 2.0**-24])
    got = qsgd.round_trip(Qsgd(bits=2, bucket=1), p, lambda n: np.full(n, 1 - 2.0**-24))
    assert got.tolist() == [1]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_qsgd_is_unbiased_with_the_variance_of_the_paper(bits, dtype):
    term, d, num = Qsgd(bits=bits, bucket=32), 32, 2000
    p = normal(d, dtype)
    got = np.stack(
        [
            qsgd.round_trip(term, p, lambda n, m=m: draw(n, m)).astype(np.float64)
            for m in range(num)
        ]
    )
    s, norm = 2 ** (bits - 1) - 1, np.linalg.norm(p.astype(np.float64))
    assert np.abs(got.mean(axis=0) - p).max() < 5 * norm / (2 * s) / np.sqrt(num)
    lost = ((got - p) ** 2).sum(axis=1).mean()
    assert 0 < lost <= min(d / s**2, np.sqrt(d) / s) * norm**2


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_block_knows_nothing_of_its_neighbours(dtype):
    for codec, term in [
        (int8, Int8(block=8)),
        (int4, Int4(block=8)),
        (sign, Sign(block=8)),
        (qsgd, Qsgd(bucket=8)),
    ]:
        p = normal(24, dtype)
        other = np.concatenate([p[:8], 100 * p[8:]])
        both = [codec.round_trip(term, x, draw)[:8] for x in (p, other)]
        assert (both[0] == both[1]).all()
        assert both[0].dtype == dtype
