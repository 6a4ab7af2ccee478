"""The decoder-only transformer.

Pre-normalized blocks of causal attention and a feed-forward layer (Vaswani et al.
2017, arXiv 1706.03762; RoPE: Su et al. 2021, arXiv 2104.09864; SwiGLU: Shazeer 2020,
arXiv 2002.05202). No biases in the linear maps. The head is not tied to the embedding:
for the small vocabularies here that costs next to nothing, each of the two can start
at the size that suits it, and both can be cut along the vocabulary.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from diamond.dsl.vocabulary.training import Transformer
from diamond.runtime.models.layers import HEAD_STD, NORMS, Dense, weight

ROPE_BASE = 10_000.0


class Attention(nnx.Module):
    """Causal multi-head attention."""

    def __init__(self, term: Transformer) -> None:
        width, heads = term.width, term.heads
        self.rope = term.positions == "rope"
        shape = (3, heads, width // heads)
        self.qkv = Dense(
            (width,),
            shape,
            ("embed", "qkv", "heads", "head_dim"),
            std=1 / math.sqrt(width),
            bias=False,
        )
        self.out = Dense(
            shape[1:],
            (width,),
            ("heads", "head_dim", "embed"),
            std=1 / math.sqrt(2 * term.layers * width),
            bias=False,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        qkv = self.qkv(x)
        q, k, v = (qkv[:, :, i] for i in range(3))
        if self.rope:
            q, k = rotate(q), rotate(k)
        return self.out(attend(q, k, v))


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Mixes `v` by the causal softmax of `q k / sqrt(head_dim)`.

    Each array is `[examples, tokens, heads, head_dim]`. The sum of the exponentials
    divides the mix and not the weights, of which there are usually more.
    """
    tokens, size = q.shape[1], q.shape[3]
    scores = jnp.einsum("bqhd,bkhd->bhqk", q / math.sqrt(size), k)
    causal = np.tril(np.ones((tokens, tokens), bool))
    scores = jnp.where(causal, scores, -jnp.inf)
    peak = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.exp(scores - peak)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", weights, v)
    return mixed / jnp.sum(weights, axis=-1).swapaxes(1, 2)[..., None]


def rotate(x: jax.Array) -> jax.Array:
    """Rotates `[examples, tokens, heads, head_dim]` by angles that grow with the place.

    The pairs that are rotated are (i, i + head_dim / 2).
    """
    tokens, size = x.shape[1], x.shape[3]
    rates = ROPE_BASE ** (-np.arange(0, size, 2) / size)
    angles = (np.arange(tokens)[:, None] * rates)[:, None, :]
    cos = jnp.asarray(np.cos(angles), x.dtype)
    sin = jnp.asarray(np.sin(angles), x.dtype)
    a, b = jnp.split(x, 2, axis=-1)
    return jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)


class FeedForward(nnx.Module):
    """SwiGLU, `(silu(x G) * (x U)) D`, or `gelu(x U) D`."""

    def __init__(self, term: Transformer) -> None:
        self.gated = term.mlp == "swiglu"
        hidden = max(1, round(term.width * term.expansion))
        outputs = (2, hidden) if self.gated else (hidden,)
        names = ("embed", "gate", "mlp") if self.gated else ("embed", "mlp")
        std = 1 / math.sqrt(term.width)
        self.up = Dense((term.width,), outputs, names, std=std, bias=False)
        self.down = Dense(
            (hidden,),
            (term.width,),
            ("mlp", "embed"),
            std=1 / math.sqrt(2 * term.layers * hidden),
            bias=False,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        up = self.up(x)
        if self.gated:
            return self.down(jax.nn.silu(up[..., 0, :]) * up[..., 1, :])
        return self.down(jax.nn.gelu(up))


class Block(nnx.Module):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, term: Transformer) -> None:
        norm = NORMS[term.norm]
        self.attention_norm = norm(term.width)
        self.attention = Attention(term)
        self.mlp_norm = norm(term.width)
        self.mlp = FeedForward(term)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class TransformerModule(nnx.Module):
    """Tokens `[examples, tokens]` to logits `[examples, tokens, vocabulary]`."""

    def __init__(self, term: Transformer, vocab: int) -> None:
        width = term.width
        self.embed = weight((vocab, width), 1.0, ("vocab", "embed"))
        learned = term.positions == "learned"
        self.places = _places(term) if learned else None
        self.blocks = nnx.List(Block(term) for _ in range(term.layers))
        self.norm = NORMS[term.norm](width)
        std = HEAD_STD / math.sqrt(width)
        self.head = Dense((width,), (vocab,), ("embed", "vocab"), std=std, bias=False)

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Returns the logits of the token after each one."""
        x = self.embed[...][tokens]
        if self.places is not None:
            x = x + self.places[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def _places(term: Transformer) -> nnx.Param[jax.Array]:
    return weight((term.context, term.width), 0.1, ("context", "embed"))
