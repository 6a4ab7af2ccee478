"""Pieces: the softmax of attention, taken over some of the keys at a time.

    s = q k       m' = max(m, max s)
    l <- l e^(m-m') + sum e^(s-m')     o <- o e^(m-m') + e^(s-m') v

gives o / l once all keys were seen, in any order. With L = log l + m of all keys, each
piece of the gradient is by itself, too:

    p = e^(s-L)     dv = p do     ds = p (do v - o do)     dq = ds k     dk = ds q

Heads of keys and values may be fewer than those of queries, each for a group of them;
nothing is repeated in memory.

References: Milakov, Gimelshein, "Online normalizer calculation for softmax", arXiv
1805.02867, 2018; Dao, Fu, Ermon, Rudra, Re, "FlashAttention: fast and memory-efficient
exact attention with IO-awareness", arXiv 2205.14135, 2022; Ainslie, Lee-Thorp, de Jong,
Zemlyanskiy, Lebron, Sanghai, "GQA: training generalized multi-query transformer models
from multi-head checkpoints", arXiv 2305.13245, 2023.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

Pair = tuple[jax.Array, jax.Array]


class Sums(NamedTuple):
    """What a chunk's tokens have seen so far.

    Attributes:
        peak: Largest score, `[examples, heads, tokens]`.
        total: Sum of the exponentials relative to it, likewise.
        mix: Sum of the values, so weighted, `[examples, heads, tokens, head_dim]`.
    """

    peak: jax.Array
    total: jax.Array
    mix: jax.Array


class Asked(NamedTuple):
    """A chunk's tokens where gradients are taken.

    Attributes:
        q: Their scaled queries, `[examples, tokens, heads, head_dim]`.
        logs: Logarithms of their sums of exponentials, `[examples, heads, tokens]`.
        back: Gradients of their mixes, like `q`.
        drift: Sum of each mix times its gradient, like `logs`.
    """

    q: jax.Array
    logs: jax.Array
    back: jax.Array
    drift: jax.Array


def in_groups(x: jax.Array, kv_heads: int, dim: int) -> jax.Array:
    """Splits a dim of heads into heads of keys and the group of each."""
    return x.reshape(*x.shape[:dim], kv_heads, -1, *x.shape[dim + 1 :])


def seen(q: jax.Array, k: jax.Array, v: jax.Array, *, is_causal: bool = False) -> Sums:
    """Returns what the tokens of some queries see of some keys and values.

    Args:
        q: Scaled queries, `[examples, tokens, heads, head_dim]`.
        k: Keys, likewise, of as many heads or of one for each group of them.
        v: Values, like keys.
        is_causal: Whether the keys are of the same tokens, which see no later ones.
    """
    scores = _scores(q, k, is_causal)
    peak = jnp.max(scores, axis=-1)
    weights = jnp.exp(scores - peak[..., None])
    grouped = _by_heads(weights.astype(v.dtype), v, 1)
    mix = _summed("bhgqk,bkhd->bhgqd", grouped, v, peak.dtype, grouped.ndim > 4)
    mix = mix.reshape(*peak.shape, v.shape[3])
    return Sums(peak, jnp.sum(weights, axis=-1), mix)


def merged(one: Sums, other: Sums) -> Sums:
    """Returns what the same tokens saw of two sets of keys."""
    peak = jnp.maximum(one.peak, other.peak)
    a, b = jnp.exp(one.peak - peak), jnp.exp(other.peak - peak)
    mix = one.mix * a[..., None] + other.mix * b[..., None]
    return Sums(peak, one.total * a + other.total * b, mix)


def pulled(
    asked: Asked, k: jax.Array, v: jax.Array, *, is_causal: bool = False
) -> tuple[jax.Array, Pair]:
    """Returns gradients by the queries, and by the keys and values they see."""
    q, logs, back, drift = asked
    weights = jnp.exp(_scores(q, k, is_causal) - logs[..., None])
    weights, drift = _by_heads(weights, k, 1), _by_heads(drift, k, 1)
    queries, back = _by_heads(q, k, 2), _by_heads(back, k, 2)
    is_grouped = queries.ndim > q.ndim
    summed = functools.partial(_summed, dtype=logs.dtype, is_grouped=is_grouped)
    by_v = summed("bhgqk,bqhgd->bkhd", weights.astype(back.dtype), back)
    by_weights = summed("bqhgd,bkhd->bhgqk", back, v)
    by_scores = (weights * (by_weights - drift[..., None])).astype(q.dtype)
    by_q = summed("bhgqk,bkhd->bqhgd", by_scores, k)
    by_k = summed("bhgqk,bqhgd->bkhd", by_scores, queries)
    return by_q.reshape(q.shape), (by_k, by_v)


def _scores(q: jax.Array, k: jax.Array, is_causal: bool) -> jax.Array:
    wide = jnp.promote_types(q.dtype, jnp.float32)
    examples, tokens, heads, _ = q.shape
    grouped = _by_heads(q, k, 2)
    scores = _summed("bqhgd,bkhd->bhgqk", grouped, k, wide, grouped.ndim > 4)
    scores = scores.reshape(examples, heads, tokens, -1)
    if not is_causal:
        return scores
    return jnp.where(np.tril(np.ones((tokens, tokens), bool)), scores, -jnp.inf)


def _by_heads(x: jax.Array, keys: jax.Array, dim: int) -> jax.Array:
    """Splits a dim of heads where these share keys.

    A dim of groups of one costs XLA's CPU backend copies: half as much memory again.
    """
    shared = keys.shape[2]
    return x if x.shape[dim] == shared else in_groups(x, shared, dim)


def _summed(
    subscripts: str, a: jax.Array, b: jax.Array, dtype: Any, is_grouped: bool
) -> jax.Array:
    """Returns an einsum in a type; of heads without groups, one without the dim `g`."""
    subscripts = subscripts if is_grouped else subscripts.replace("g", "")
    return jnp.einsum(subscripts, a, b, preferred_element_type=dtype)
