"""An optimizer that couples values is found out before it trains in parts."""

import jax
import numpy as np
import optax
import pytest

from diamond.compiler.coupling import refuse_coupled

PARAMS = {
    "w": jax.ShapeDtypeStruct((6, 4), np.float32),
    "b": jax.ShapeDtypeStruct((4,), np.float32),
    "t": jax.ShapeDtypeStruct((), np.float32),
}
BY_ITSELF = [
    optax.sgd(0.1, momentum=0.9),
    optax.adamw(1e-3),
    optax.chain(optax.clip(1.0), optax.adam(1e-3)),
    optax.lion(1e-3),
]
COUPLED = [
    optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(0.1)),
    optax.lamb(1e-3),
    optax.lars(1e-3),
]
NO_VECTORS = optax.adamw(
    1e-3, weight_decay=0.5, mask=lambda p: jax.tree.map(lambda x: x.ndim > 1, p)
)


@pytest.mark.parametrize("flat", [False, True])
def test_what_treats_each_value_by_itself_passes(flat: bool) -> None:
    for optimizer in BY_ITSELF:
        refuse_coupled(optimizer, PARAMS, flat=flat, where="`zero`")


@pytest.mark.parametrize("flat", [False, True])
def test_norms_are_refused(flat: bool) -> None:
    for optimizer in COUPLED:
        with pytest.raises(ValueError, match="does not treat each value by itself"):
            refuse_coupled(optimizer, PARAMS, flat=flat, where="`zero`")


def test_what_depends_on_dims_fails_at_a_server_alone() -> None:
    refuse_coupled(NO_VECTORS, PARAMS, flat=False, where="`zero`")
    with pytest.raises(ValueError, match="parameter_server"):
        refuse_coupled(NO_VECTORS, PARAMS, flat=True, where="`parameter_server`")
