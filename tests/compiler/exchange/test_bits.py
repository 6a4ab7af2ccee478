"""Codes of a few bits in bytes and back."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond.compiler.exchange.bits import bytes_of, pack, unpack

WIDTHS = st.sampled_from([1, 2, 4, 8])


@settings(max_examples=30)
@given(st.data(), WIDTHS, st.integers(1, 3), st.integers(1, 20))
def test_unpacking_undoes_packing(data, width, blocks, block) -> None:
    code = st.integers(0, 2**width - 1)
    row = st.lists(code, min_size=block, max_size=block)
    rows = data.draw(st.lists(row, min_size=blocks, max_size=blocks))
    packed = pack(jnp.array(rows, jnp.uint8), width)
    assert packed.shape == (blocks, bytes_of(block, width))
    assert packed.dtype == jnp.uint8
    assert unpack(packed, width, block).tolist() == rows


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_block_is_cut_in_runs_and_the_first_run_is_lowest(width) -> None:
    share = 8 // width
    for place in range(share):
        codes = np.zeros((1, 2 * share), np.uint8)
        codes[0, 2 * place + 1] = 1
        assert pack(jnp.asarray(codes), width).tolist() == [[0, 1 << width * place]]


def test_signs_take_an_eighth_and_nibbles_a_half_of_a_byte() -> None:
    assert [bytes_of(1024, width) for width in (1, 2, 4, 8)] == [128, 256, 512, 1024]
    assert [bytes_of(3, width) for width in (1, 2, 4, 8)] == [1, 1, 2, 3]
