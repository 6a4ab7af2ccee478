"""Ring attention: keys and values go round, and each token sees them all go by.

Devices stand in a ring and hold the tokens in a zigzag (see `sequence`): device k has
the chunks k and 2N-1-k. Keys and values go to the next device N-1 times, and what the
tokens of k see of those of j is added up piece by piece (see `pieces`):

    the later chunk of k sees the earlier chunk of j, all of it
    if j < k, the earlier chunk of k sees it, too
    if j > k, the later chunk of k sees the later chunk of j, all of it

and nothing else. So each turn is two chunks by one, on all devices alike, and only what
a device has itself needs a mask.

The gradient keeps this device's q, k, v, mix and the logarithm of its sum: keys and
values go round once more, and their gradients with them, home.

References: Liu, Zaharia, Abbeel, "Ring attention with blockwise transformers for
near-infinite context", arXiv 2310.01889, 2023; Brandon et al., "Striped attention:
faster ring attention for causal transformers", arXiv 2311.09431, 2023.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name
from jax.custom_derivatives import custom_vjp

from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.pieces import (
    Asked,
    Pair,
    merged,
    pulled,
    seen,
)
from diamond.compiler.parallelism.remat import SUMMED


class _Gradients(NamedTuple):
    """Gradients of a turn, or of some together.

    Attributes:
        first: By the scaled queries of the device's earlier chunk.
        last: By those of its later chunk.
        early: By the keys and by the values of the earlier chunk that was seen.
        late: By those of the later one.
    """

    first: jax.Array
    last: jax.Array
    early: Pair
    late: Pair


def ring_attention(q: jax.Array, k: jax.Array, v: jax.Array, ring: Group) -> jax.Array:
    """Mixes `v` of all devices by the causal softmax of `q k / sqrt(head_dim)`.

    Sums are taken in fp32 at least.

    Args:
        q: This device's queries, `[examples, tokens, heads, head_dim]`; the tokens are
            its two chunks.
        k: Its keys, likewise, of as many heads or of one for each group of them.
        v: Its values, like keys.
        ring: The devices.
    """

    @custom_vjp
    def mixed(q: jax.Array, k: jax.Array, v: jax.Array) -> jax.Array:
        return _forward(q, k, v, ring)[0]

    def forward(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, Any]:
        out, logs = _forward(q, k, v, ring)
        out, logs = checkpoint_name(out, SUMMED), checkpoint_name(logs, SUMMED)
        return out, (q, k, v, out, logs)

    def backward(kept: Any, back: jax.Array) -> tuple[jax.Array, ...]:
        # Without the barrier XLA finds that a ring of two sends the same keys and
        # values as before, and keeps what was received.
        kept, back = jax.lax.optimization_barrier((kept, back))
        return _backward(kept, back, ring)

    mixed.defvjp(forward, backward)
    found: jax.Array = mixed(q, k, v)
    return found


def _forward(q: jax.Array, k: jax.Array, v: jax.Array, ring: Group) -> Pair:
    """Returns the mixes, and the logarithms of the sums of exponentials."""
    early, late = _halves(q / math.sqrt(q.shape[-1]))
    keys, values = _halves(k), _halves(v)
    first = seen(early, keys[0], values[0], is_causal=True)
    last = seen(late, keys[0], values[0])
    last = merged(last, seen(late, keys[1], values[1], is_causal=True))

    def turn(carry: Any, number: jax.Array) -> tuple[Any, None]:
        first, last, k, v = carry
        k, v = ring.pass_on((k, v))
        keys, values = _halves(k), _halves(v)
        last = merged(last, seen(late, keys[0], values[0]))
        pick = functools.partial(_pick, _is_before(number, ring))
        found = seen(pick(early, late), pick(*keys), pick(*values))
        found = merged(pick(first, last), found)
        return (pick(found, first), pick(last, found), k, v), None

    carry: Any = (first, last, k, v)
    (first, last, *_), _ = jax.lax.scan(turn, carry, jnp.arange(1, ring.size))
    sums = jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=2), first, last)
    out = (sums.mix / sums.total[..., None]).swapaxes(1, 2).astype(q.dtype)
    return out, jnp.log(sums.total) + sums.peak


def _backward(kept: Any, back: jax.Array, ring: Group) -> tuple[jax.Array, ...]:
    """Returns the gradients by this device's queries, keys and values."""
    q, k, v, out, logs = kept
    scale = 1 / math.sqrt(q.shape[-1])
    wide = logs.dtype
    drift = jnp.sum(out.astype(wide) * back.astype(wide), axis=-1).swapaxes(1, 2)
    early, late = _asked(q * scale, logs, back, drift)
    own = _own(early, late, _halves(k), _halves(v))

    def turn(carry: Any, number: jax.Array) -> tuple[Any, None]:
        sums, k, v = carry
        k, v = ring.pass_on((k, v))
        of_before = _is_before(number, ring)
        sums = _plus(sums, _turned(early, late, _halves(k), _halves(v), of_before))
        going = ring.pass_on((sums.early, sums.late))
        return (_Gradients(sums.first, sums.last, *going), k, v), None

    carry: Any = (jax.tree.map(jnp.zeros_like, own), k, v)
    (sums, _, _), _ = jax.lax.scan(turn, carry, jnp.arange(1, ring.size))
    first, last, early_seen, late_seen = _plus(own, sums)
    by_q = jnp.concatenate([first, last], axis=1) * scale
    pairs = zip(early_seen, late_seen, strict=True)
    by_k, by_v = (jnp.concatenate(pair, axis=1) for pair in pairs)
    return tuple(x.astype(q.dtype) for x in (by_q, by_k, by_v))


def _is_before(number: jax.Array, ring: Group) -> jax.Array:
    """Whether a turn brings what a device nearer the start of the ring has."""
    return number <= ring.place


def _own(early: Asked, late: Asked, keys: Pair, values: Pair) -> _Gradients:
    """Returns what comes of a device's own keys and values."""
    first, seen_early = pulled(early, keys[0], values[0], is_causal=True)
    last, more = pulled(late, keys[0], values[0])
    by_late, seen_late = pulled(late, keys[1], values[1], is_causal=True)
    return _Gradients(first, last + by_late, _plus(seen_early, more), seen_late)


def _turned(
    early: Asked, late: Asked, keys: Pair, values: Pair, of_before: jax.Array
) -> _Gradients:
    """Returns what comes of the keys and values of another device."""
    pick = functools.partial(_pick, of_before)
    last, seen_early = pulled(late, keys[0], values[0])
    by_q, found = pulled(pick(early, late), pick(*keys), pick(*values))
    none, nothing = jax.tree.map(jnp.zeros_like, (by_q, found))
    return _Gradients(
        first=pick(by_q, none),
        last=last + pick(none, by_q),
        early=_plus(seen_early, pick(found, nothing)),
        late=pick(nothing, found),
    )


def _asked(
    q: jax.Array, logs: jax.Array, back: jax.Array, drift: jax.Array
) -> tuple[Asked, Asked]:
    by_tokens = zip(_halves(q), _halves(back), strict=True)
    by_heads = zip(_halves(logs, 2), _halves(drift, 2), strict=True)
    early, late = (
        Asked(q, logs, back, drift)
        for (q, back), (logs, drift) in zip(by_tokens, by_heads, strict=True)
    )
    return early, late


def _halves(x: jax.Array, dim: int = 1) -> Pair:
    early, late = jnp.split(x, 2, axis=dim)
    return early, late


def _pick(which: jax.Array, one: Any, other: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), one, other)


def _plus(one: Any, other: Any) -> Any:
    return jax.tree.map(jnp.add, one, other)
