"""The built-in models: shapes, starting loss, logical dims, and refusals."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.dsl.vocabulary.scheme import Model
from diamond.dsl.vocabulary.training import ConvNet, Mlp, Transformer
from diamond.runtime.losses import cross_entropy
from diamond.runtime.models import functional, module_factory

SMALL = {"layers": 2, "width": 16, "heads": 2, "context": 12}
IMAGES = [
    Mlp(width=32, layers=0),
    Mlp(width=32, layers=3),
    Mlp(width=32, activation="gelu"),
    Mlp(width=32, activation="silu"),
    Mlp(width=32, activation="tanh"),
    ConvNet(channels=4, width=16),
    ConvNet(channels=4, stages=3, width=16),
]
TOKENS = [
    Transformer(**SMALL),
    Transformer(**SMALL, norm="layernorm"),
    Transformer(**SMALL, positions="learned"),
    Transformer(**SMALL, mlp="gelu", expansion=1.5),
]


def made(model: Model, seed: int = 0) -> tuple[Any, Any]:
    tokens = isinstance(model, Transformer)
    inputs = (12,) if tokens else (8, 8, 1)
    f = functional(module_factory(model, inputs, 10, tokens=tokens))
    return f, f.init(jax.random.key(seed))


@pytest.mark.parametrize("model", IMAGES, ids=repr)
def test_image_models_start_near_the_blind_guess(model: Model) -> None:
    f, params = made(model)
    x = jax.random.uniform(jax.random.key(1), (64, 8, 8, 1))
    logits = f.apply(params, x)
    loss = jnp.mean(cross_entropy(logits, jnp.arange(64) % 10))
    assert logits.shape == (64, 10)
    assert float(loss) == pytest.approx(math.log(10), abs=0.05)
    assert float(jnp.std(logits)) > 1e-3


@pytest.mark.parametrize("model", TOKENS, ids=repr)
def test_transformers_start_near_the_blind_guess(model: Model) -> None:
    f, params = made(model)
    x = jax.random.randint(jax.random.key(1), (16, 12), 0, 10)
    logits = f.apply(params, x)
    assert logits.shape == (16, 12, 10)
    loss = jnp.mean(cross_entropy(logits, x))
    assert float(loss) == pytest.approx(math.log(10), abs=0.05)


@pytest.mark.parametrize("model", [*IMAGES, *TOKENS], ids=repr)
def test_each_dim_has_a_name(model: Model) -> None:
    f, params = made(model)
    ranks = jax.tree.map(jnp.ndim, params)
    lengths = jax.tree.map(len, f.dims, is_leaf=lambda leaf: isinstance(leaf, tuple))
    assert ranks == lengths
    names = jax.tree.leaves(f.dims)
    assert all(isinstance(name, str) for name in names)
    leaves = jax.tree.leaves(f.dims, is_leaf=lambda leaf: isinstance(leaf, tuple))
    assert all(len(set(leaf)) == len(leaf) for leaf in leaves)


def test_the_names_of_a_transformer() -> None:
    f, _ = made(Transformer(**SMALL))
    block = f.dims["blocks"]["0"]
    assert f.dims["embed"] == ("vocab", "embed")
    assert f.dims["head"]["kernel"] == ("embed", "vocab")
    assert block["attention"]["qkv"]["kernel"] == ("embed", "qkv", "heads", "head_dim")
    assert block["attention"]["out"]["kernel"] == ("heads", "head_dim", "embed")
    assert block["mlp"]["up"]["kernel"] == ("embed", "gate", "mlp")
    assert block["mlp"]["down"]["kernel"] == ("mlp", "embed")


def test_a_convolution_is_a_convolution() -> None:
    f, params = made(ConvNet(channels=4, stages=1, width=16))
    module = f.merge(params)
    conv = module.stages[0]
    x = jax.random.normal(jax.random.key(0), (3, 8, 8, 1))
    expected = jax.lax.conv_general_dilated(
        x, conv.kernel[...], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    np.testing.assert_allclose(conv(x), expected + conv.bias[...], atol=1e-5)


def test_images_may_lack_channels_and_be_odd() -> None:
    f = functional(module_factory(ConvNet(channels=2, width=4), (7, 9), 3))
    params = f.init(jax.random.key(0))
    assert f.apply(params, jnp.ones((5, 7, 9))).shape == (5, 3)


def test_integers_are_taken_for_numbers() -> None:
    f, params = made(Mlp(width=8))
    x = np.arange(128).reshape(2, 8, 8, 1)
    expected = f.apply(params, x.astype(np.float32))
    np.testing.assert_array_equal(f.apply(params, x), expected)


@pytest.mark.parametrize(
    ("model", "inputs", "tokens", "message"),
    [
        (Transformer(**SMALL), (8, 8, 1), False, "takes rows of tokens"),
        (Transformer(width=10, heads=4), (12,), True, "no multiple of 4"),
        (Transformer(width=12, heads=4), (12,), True, "12 / 4 is 3"),
        (Transformer(**SMALL), (13,), True, "has 13 tokens"),
        (Mlp(), (12,), True, "only `transformer` takes"),
        (ConvNet(), (64,), False, "takes images"),
        (ConvNet(stages=4), (8, 8), False, "to nothing"),
    ],
)
def test_what_does_not_fit_is_refused(
    model: Model, inputs: tuple[int, ...], tokens: bool, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        module_factory(model, inputs, 10, tokens=tokens)
