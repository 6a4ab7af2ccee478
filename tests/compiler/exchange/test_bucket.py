"""Trees as vectors and back."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond.compiler.exchange.bucket import bucket_of, pack, padded, shapes_of, unpack

SHAPES = st.lists(
    st.lists(st.integers(1, 4), max_size=3).map(tuple), min_size=1, max_size=4
)


@settings(max_examples=30, deadline=None)
@given(SHAPES, st.integers(1, 9), st.integers(1, 8))
def test_unpacking_undoes_packing(shapes, block, chunks) -> None:
    tree = {
        str(i): jnp.asarray(np.random.default_rng(i).normal(size=shape), jnp.float32)
        for i, shape in enumerate(shapes)
    }
    bucket = bucket_of(shapes_of(tree), block=block, chunks=chunks)
    vector = pack(tree, bucket)
    assert vector.shape == (bucket.elements,)
    assert bucket.elements % (block * chunks) == 0
    back = unpack(vector, bucket, tree)
    assert jax.tree.structure(back) == jax.tree.structure(tree)
    assert all(map(np.array_equal, jax.tree.leaves(back), jax.tree.leaves(tree)))


def test_leaves_start_at_blocks_and_padding_is_zero() -> None:
    tree = [jnp.ones(3), jnp.full((2, 3), 2.0)]
    vector = pack(tree, bucket_of(shapes_of(tree), block=4, chunks=3))
    assert vector.tolist() == [1, 1, 1, 0, 2, 2, 2, 2, 2, 2, 0, 0]


def test_padded_rounds_up() -> None:
    assert [padded(n, 4) for n in (0, 1, 4, 5)] == [0, 4, 4, 8]
