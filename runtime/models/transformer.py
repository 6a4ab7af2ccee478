"""The decoder-only transformer.

Pre-normalized blocks of causal attention and a feed-forward layer (Vaswani et al.
2017, arXiv 1706.03762; RoPE: Su et al. 2021, arXiv 2104.09864; SwiGLU: Shazeer 2020,
arXiv 2002.05202). Heads of queries may share those of keys and values (Ainslie et al.
2023, arXiv 2305.13245): q then has a kernel of its own. No biases in the linear maps.
The head is not tied to the embedding: for the small vocabularies here that costs next
to nothing, each of the two can start at the size that suits it, and both can be cut
along the vocabulary.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.pieces import in_groups
from diamond.compiler.parallelism.precision import product, widened
from diamond.compiler.parallelism.remat import recomputed
from diamond.compiler.parallelism.sequence import TokenGroup
from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.dsl.vocabulary.training import Transformer
from diamond.runtime.models.layers import HEAD_STD, NORMS, Dense, plus, weight

ROPE_BASE = 10_000.0


class Attention(nnx.Module):
    """Causal multi-head attention; some heads of queries to one of keys and values."""

    def __init__(self, term: Transformer, spread: Spread = WHOLE) -> None:
        width, heads = term.width, term.heads
        self.rope = term.positions == "rope"
        self.sequence = spread.sequence
        size = width // heads
        into = functools.partial(
            Dense, (width,), std=1 / math.sqrt(width), bias=False, spread=spread
        )
        kv_heads = term.kv_heads or heads
        self.is_grouped = kv_heads != heads
        if self.is_grouped:
            _check_groups(heads, kv_heads, spread)
            names = ("embed", "kv", "kv_heads", "head_dim")
            self.q = into((heads, size), ("embed", "heads", "head_dim"))
            self.kv = into((2, kv_heads, size), names)
        else:
            self.qkv = into((3, heads, size), ("embed", "qkv", "heads", "head_dim"))
        self.out = Dense(
            (heads, size),
            (width,),
            ("heads", "head_dim", "embed"),
            std=1 / math.sqrt(2 * term.layers * width),
            bias=False,
            spread=spread,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        if self.is_grouped:
            q, kv = self.q(x), self.kv(x)
            k, v = (kv[:, :, i] for i in range(2))
        else:
            qkv = self.qkv(x)
            q, k, v = (qkv[:, :, i] for i in range(3))
        if self.rope:
            q, k = rotate(q, self.sequence), rotate(k, self.sequence)
        if self.sequence is not None:
            return self.out(self.sequence.attend(q, k, v, attend))
        return self.out(attend(q, k, v))


def _check_groups(heads: int, kv_heads: int, spread: Spread) -> None:
    """Holds that a device has the keys and values of all its queries.

    Raises:
        ValueError: If it does not.
    """
    here, shared = spread.cut("heads", heads), spread.cut("kv_heads", kv_heads)
    if heads % kv_heads or here * kv_heads != shared * heads:
        raise ValueError(
            f"{heads} attention heads cannot share {kv_heads} heads of keys and values "
            "equally, on each device that holds some of them"
        )


def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
    """Mixes `v` by the causal softmax of `q k / sqrt(head_dim)`.

    Each array is `[examples, tokens, heads, head_dim]`; `k` and `v` may have fewer
    heads, each for a group of those of `q`. The sum of the exponentials divides the mix
    and not the weights, of which there are usually more.
    """
    tokens, size = q.shape[1], q.shape[3]
    scaled, group = q / math.sqrt(size), ""
    if q.shape[2] != k.shape[2]:  # a dim of groups of one head each would cost time
        scaled, group = in_groups(scaled, k.shape[2], 2), "g"
    scores = product(f"bqh{group}d,bkhd->bh{group}qk", scaled, k)
    causal = np.tril(np.ones((tokens, tokens), bool))
    scores = jnp.where(causal, scores, -jnp.inf)
    peak = jax.lax.stop_gradient(jnp.max(scores, axis=-1, keepdims=True))
    weights = jnp.exp(scores - peak)
    mixed = product(f"bh{group}qk,bkhd->bqh{group}d", weights.astype(v.dtype), v)
    total = jnp.moveaxis(jnp.sum(weights, axis=-1), -1, 1)[..., None]
    return (mixed / total).astype(v.dtype).reshape(q.shape)


def rotate(x: jax.Array, sequence: TokenGroup | None = None) -> jax.Array:
    """Rotates `[examples, tokens, heads, head_dim]` by angles that grow with the place.

    The pairs that are rotated are (i, i + head_dim / 2).

    Args:
        x: What is rotated.
        sequence: Where given, each of its devices has some of the tokens.
    """
    size = x.shape[3]
    tokens = x.shape[1] * (sequence.size if sequence else 1)
    rates = ROPE_BASE ** (-np.arange(0, size, 2) / size)
    angles = (np.arange(tokens)[:, None] * rates)[:, None, :]
    wide = widened(x)
    cos = jnp.asarray(np.cos(angles), wide.dtype)
    sin = jnp.asarray(np.sin(angles), wide.dtype)
    if sequence is not None:
        cos, sin = sequence.here(cos), sequence.here(sin)
    a, b = jnp.split(wide, 2, axis=-1)
    turned = jnp.concatenate([a * cos - b * sin, a * sin + b * cos], axis=-1)
    return turned.astype(x.dtype)


class FeedForward(nnx.Module):
    """SwiGLU, `(silu(x G) * (x U)) D`, or `gelu(x U) D`."""

    def __init__(self, term: Transformer, spread: Spread = WHOLE) -> None:
        self.gated = term.mlp == "swiglu"
        hidden = max(1, round(term.width * term.expansion))
        outputs = (2, hidden) if self.gated else (hidden,)
        names = ("embed", "gate", "mlp") if self.gated else ("embed", "mlp")
        std = 1 / math.sqrt(term.width)
        self.up = Dense(
            (term.width,), outputs, names, std=std, bias=False, spread=spread
        )
        self.down = Dense(
            (hidden,),
            (term.width,),
            ("mlp", "embed"),
            std=1 / math.sqrt(2 * term.layers * hidden),
            bias=False,
            spread=spread,
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        up = self.up(x)
        if self.gated:
            return self.down(jax.nn.silu(up[..., 0, :]) * up[..., 1, :])
        return self.down(jax.nn.gelu(up))


def look_up(table: jax.Array, tokens: jax.Array, group: Group | None) -> jax.Array:
    """Returns the vector of each token.

    Args:
        table: `[vocabulary, width]`, or this device's part of it.
        tokens: Integers `[examples, tokens]`.
        group: Where given, each of its devices has the vectors of some, in order.
    """
    dtype, table = table.dtype, widened(table)  # gradients of a vector are added up
    if group is None:
        return table[tokens].astype(dtype)
    places = tokens.astype(jnp.int32) - group.place * len(table)
    is_here = (places >= 0) & (places < len(table))
    found = table[jnp.where(is_here, places, 0)]
    return group.leave(jnp.where(is_here[..., None], found, 0)).astype(dtype)


class Half(nnx.Module):
    """The first half of a block, x + attention(norm(x)), and the norm of the second."""

    def __init__(self, term: Transformer, spread: Spread = WHOLE) -> None:
        norm = NORMS[term.norm]
        self.attention_norm = norm(term.width)
        self.attention = Attention(term, spread)
        self.mlp_norm = norm(term.width)

    def attend(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        return x + self.attention(self.attention_norm(x))


class Block(Half):
    """x + attention(norm(x)), then x + feed_forward(norm(x))."""

    def __init__(self, term: Transformer, spread: Spread = WHOLE) -> None:
        super().__init__(term, spread)
        self.mlp = FeedForward(term, spread)

    def __call__(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to the same shape."""
        x = self.attend(x)
        return x + self.mlp(self.mlp_norm(x))


class Ends(nnx.Module):
    """What stands before the blocks and after them.

    Cut up over a tensor axis, it gives the logits of this device's tokens.
    """

    def __init__(self, term: Transformer, vocab: int, spread: Spread = WHOLE) -> None:
        width = term.width
        here = spread.cut("vocab", vocab)
        self.group = spread.tensor if here != vocab else None
        self.sequence = spread.sequence
        self.embed = weight((here, width), 1.0, ("vocab", "embed"))
        learned = term.positions == "learned"
        self.places = _places(term) if learned else None
        self.norm = NORMS[term.norm](width)
        std = HEAD_STD / math.sqrt(width)
        self.head = Dense(
            (width,),
            (vocab,),
            ("embed", "vocab"),
            std=std,
            bias=False,
            wide=True,
            spread=spread,
        )

    def enter(self, tokens: jax.Array) -> jax.Array:
        """Maps tokens `[examples, tokens]` to `[examples, tokens, width]`."""
        x = look_up(self.embed[...], tokens, self.group)
        if self.places is not None:
            x = plus(x, self._places(tokens.shape[1]))
        return x

    def leave(self, x: jax.Array) -> jax.Array:
        """Maps `[examples, tokens, width]` to logits."""
        return self.head(self.norm(x))

    def _places(self, tokens: int) -> jax.Array:
        """Returns the vectors of the places of this device's tokens."""
        assert self.places is not None
        if self.sequence is None:
            return self.places[:tokens]
        return self.sequence.here(self.places[: tokens * self.sequence.size])


class TransformerModule(Ends):
    """Tokens `[examples, tokens]` to logits `[examples, tokens, vocabulary]`.

    Cut up over a tensor axis, it gives this device's logits of each token; over a
    sequence axis, it maps this device's tokens. With `remat` the inside of a block is
    computed again for the gradient.
    """

    def __init__(
        self,
        term: Transformer,
        vocab: int,
        spread: Spread = WHOLE,
        *,
        remat: str = "none",
    ) -> None:
        super().__init__(term, vocab, spread)
        self.remat = remat
        self.blocks = nnx.List(Block(term, spread) for _ in range(term.layers))

    def __call__(self, tokens: jax.Array) -> jax.Array:
        """Returns the logits of the token after each one."""
        x = self.enter(tokens)
        for block in self.blocks:
            x = recomputed(block, self.remat)(x)
        return self.leave(x)


def _places(term: Transformer) -> nnx.Param[jax.Array]:
    return weight((term.context, term.width), 0.1, ("context", "embed"))
