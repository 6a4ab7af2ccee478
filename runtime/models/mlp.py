"""The multilayer perceptron."""

import math

import jax
import jax.numpy as jnp
from flax import nnx

from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.dsl.vocabulary.training import Mlp
from diamond.runtime.models.layers import HEAD_STD, Dense

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu": jax.nn.gelu,
    "silu": jax.nn.silu,
    "tanh": jnp.tanh,
}
# Weights have variance gain / inputs, which keeps the size of activations over layers
# (He et al. 2015, arXiv 1502.01852).
GAINS = {"relu": 2.0, "gelu": 2.0, "silu": 2.0, "tanh": 1.0}


class MlpModule(nnx.Module):
    """Dense layers with an activation between them; the input is flattened first.

    Hidden dims are named `mlp` and `embed` by turns, so that tensor parallelism can
    cut one layer by columns and the next by rows.
    """

    def __init__(
        self, term: Mlp, inputs: int, outputs: int, spread: Spread = WHOLE
    ) -> None:
        self.activation = term.activation
        sizes = [inputs, *[term.width] * term.layers]
        names = ["features", *[("mlp", "embed")[i % 2] for i in range(term.layers)]]
        gain = GAINS[term.activation]
        self.hidden = nnx.List(
            Dense(
                (sizes[i],),
                (sizes[i + 1],),
                (names[i], names[i + 1]),
                std=math.sqrt(gain / sizes[i]),
                spread=spread,
            )
            for i in range(term.layers)
        )
        self.head = Dense(
            sizes[-1:],
            (outputs,),
            (names[-1], "classes"),
            std=HEAD_STD / math.sqrt(sizes[-1]),
            wide=True,
            spread=spread,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, ...]` to `[examples, outputs]`."""
        x = x.reshape(len(x), -1).astype(self.head.kernel.dtype)
        for layer in self.hidden:
            x = ACTIVATIONS[self.activation](layer(x))
        return self.head(x)
