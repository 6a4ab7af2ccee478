"""What the rules say about optimizers holds for the optax that is installed."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from diamond.dsl.vocabulary.optimizers import OPTIMIZERS
from diamond.dsl.vocabulary.signatures import Signature
from diamond.dsl.vocabulary.traits import NOT_ELEMENTWISE, WITHOUT_MOMENTUM

NAMES = [signature.name for signature in OPTIMIZERS]
# What shows only with arguments or shapes that the small trees here do not have.
ARGUMENTS = {"adafactor": {"min_dim_size_to_factor": 2}, "galore": {"rank": 1}}


def made(signature: Signature) -> optax.GradientTransformation:
    home = optax.contrib if signature.home == "optax.contrib" else optax
    given = dict(ARGUMENTS.get(signature.name, {}))
    if signature.parameters[0].required:
        given["learning_rate"] = 0.1
    if signature.parameter("optimism"):
        given["optimism"] = 0.5
    if signature.name == "noisy_sgd":
        given["key"] = 0
    return getattr(home, signature.name)(**given)


def moved(optimizer: optax.GradientTransformation, other: bool) -> np.ndarray:
    """Returns how far a few parameters move, amid these or other neighbours."""
    draw = np.random.default_rng(0).normal
    params = first = _tree(draw(size=12), other)
    state = optimizer.init(params)
    slope = draw(size=12)
    for _ in range(6):
        grads = _tree(slope + 0.3 * draw(size=12), other)
        updates, state = optimizer.update(grads, state, params)
        params = optax.apply_updates(params, updates)
    return np.ravel(params["w"] - first["w"])[:5].astype(np.float64)


def _tree(flat: np.ndarray, other: bool) -> dict[str, jax.Array]:
    values = jnp.asarray(flat, jnp.float32)
    if other:
        return {"a": 3 * values[8:], "b": values[5:8], "w": values[:5]}
    return {"w": values[:8].reshape(4, 2), "z": values[8:]}


@pytest.mark.slow
@pytest.mark.parametrize("signature", OPTIMIZERS, ids=NAMES)
def test_an_elementwise_optimizer_treats_each_value_by_itself(
    signature: Signature,
) -> None:
    one, two = (moved(made(signature), other) for other in (False, True))
    gap = np.abs(one - two).max() / np.abs(one).max()
    assert (gap > 1e-4) == (signature.name in NOT_ELEMENTWISE), gap


def test_the_names_are_those_of_optimizers() -> None:
    assert NOT_ELEMENTWISE.keys() <= set(NAMES)
    without = [one for one in OPTIMIZERS if one.name in WITHOUT_MOMENTUM]
    assert len(without) == len(WITHOUT_MOMENTUM)
    assert not any(signature.parameter("momentum") for signature in without)
