"""The small convolutional network."""

import itertools
import math

import jax
import jax.numpy as jnp
from flax import nnx

from diamond.dsl.vocabulary.training import ConvNet
from diamond.runtime.models.layers import HEAD_STD, Dense, constant, plus, weight


class Conv(nnx.Module):
    """A 3 x 3 convolution that keeps the image's size, as a product of patches.

    Patches, and not a convolution operator: where each copy has its own weights
    (`jax.vmap` over a loose axis) that would become a grouped convolution, whose
    gradient takes 2 to 4 times as long on CPU.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        dims = ("kernel_height", "kernel_width", "channels_in", "channels_out")
        std = math.sqrt(2 / (9 * inputs))
        self.kernel = weight((3, 3, inputs, outputs), std, dims)
        self.bias = constant((outputs,), 0.0, dims[3:])

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, height, width, inputs]` to the same with `outputs`."""
        examples, height, width, _ = x.shape
        padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        shifts = [(i, j) for i in range(3) for j in range(3)]
        patches = [padded[:, i : i + height, j : j + width] for i, j in shifts]
        flat = jnp.concatenate(patches, axis=-1).reshape(examples * height * width, -1)
        product = flat @ self.kernel[...].reshape(flat.shape[1], -1)
        return plus(product, self.bias[...]).reshape(examples, height, width, -1)


class ConvNetModule(nnx.Module):
    """Stages of convolution, relu and 2 x 2 pooling; then a hidden dense layer."""

    def __init__(
        self,
        term: ConvNet,
        image: tuple[int, int, int],
        outputs: int,
    ) -> None:
        height, width, channels = image
        counts = [channels, *[term.channels * 2**i for i in range(term.stages)]]
        pairs = itertools.pairwise(counts)
        self.stages = nnx.List(Conv(a, b) for a, b in pairs)
        size = (height >> term.stages) * (width >> term.stages) * counts[-1]
        self.hidden = Dense(
            (size,),
            (term.width,),
            ("features", "mlp"),
            std=math.sqrt(2 / size),
        )
        std = HEAD_STD / math.sqrt(term.width)
        self.head = Dense(
            (term.width,), (outputs,), ("mlp", "classes"), std=std, wide=True
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, height, width, (channels)]` to `[examples, outputs]`."""
        x = x[..., None] if x.ndim == 3 else x
        x = x.astype(self.head.kernel.dtype)
        for conv in self.stages:
            x = _pool(jax.nn.relu(conv(x)))
        x = jax.nn.relu(self.hidden(x.reshape(len(x), -1)))
        return self.head(x)


def _pool(x: jax.Array) -> jax.Array:
    """Takes the largest of each 2 x 2 square; an odd last row or column is left out."""
    examples, height, width, channels = x.shape
    height, width = height // 2, width // 2
    even = x[:, : 2 * height, : 2 * width]
    squares = even.reshape(examples, height, 2, width, 2, channels)
    return jnp.max(squares, axis=(2, 4))
