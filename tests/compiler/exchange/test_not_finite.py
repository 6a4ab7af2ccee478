"""A value that is not finite stays visible in the mean, wherever it stands."""

import jax
import numpy as np
import pytest

from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import compressor_of
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import TensorSpec
from diamond.dsl.vocabulary import (
    Cast,
    Dgc,
    Gradiveq,
    Int4,
    Int8,
    NoCompression,
    PowerSgd,
    Qsgd,
    Sign,
    Ternary,
    TopK,
)
from tests.compiler.exchange.members import over_members

MEMBERS, SHAPE = 4, (64, 64)
# `randomk` sends what its dice say: what it does not send waits in its feedback.
FORMS = (
    NoCompression(),
    Cast(),
    Cast("fp8_e4m3"),
    Int8(),
    Int4(),
    Qsgd(),
    Sign(),
    Ternary(),
    TopK(density=0.01),
    Dgc(density=0.01),
    PowerSgd(rank=2),
    Gradiveq(),
)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form).split(",")[0])
def test_no_codec_hides_it(form) -> None:
    def mean(wire: Wire, leaf: jax.Array) -> jax.Array:
        compressor = compressor_of(
            form, Site(wire, (TensorSpec("w", SHAPE, "float32"),))
        )
        state = compressor.init([leaf])
        return compressor.mean([leaf], state, wire, compressor.turns[0])[0][0]

    for seed, value in enumerate((np.nan, np.nan, np.inf, -np.inf)):
        draw = np.random.default_rng(seed)
        values = draw.standard_normal((MEMBERS, *SHAPE)).astype(np.float32)
        values[tuple(draw.integers((MEMBERS, *SHAPE)))] = value
        assert not np.isfinite(over_members(mean, values)).all(), (seed, value)
