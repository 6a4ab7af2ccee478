"""Ternary: -1, 0 or 1 times a scale that all members share (TernGrad).

    s_i = min(max |v|, clip sigma(v)) of each tensor        clip = 0: max |v|
    s   = max_i s_i
    t_i = sgn(v) with probability min(|v|, s) / s, else 0
    y   = (s/N) sum_i t_i

The scale is shared so that ternaries are whole numbers of one unit: they are added as
integers, and the sum is exact.

Bill: 4 bytes a tensor for the scales. Then, for n values, gathered: n/4 bytes to
everyone, n (N-1)/4 a member; or in two phases: the ternaries of a chunk to the member
that adds them, and its sums of 8 bits to everyone (16 beyond 127 members), 1.25 n
(N-1)/N. Up to N = 5 gathering sends no more.
Limits: right on average where nothing is clipped; there is no feedback. Vectors cross
as they are.

References: W. Wen et al., TernGrad: Ternary Gradients to Reduce Communication in
Distributed Deep Learning, arXiv 1705.07878, 2017. There a server adds; here each member
does so for a chunk.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange import bits
from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.contract import Compressor, Leaves, skips_vectors
from diamond.compiler.exchange.noise import Stream, key_of, seed_within, uniform
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Route

MOST_GATHERED = 5
MOST_IN_8_BITS = 127
_WIDTH, _TO_A_BYTE = 2, 4


class TernaryState(NamedTuple):
    """`uses` is `uint32[]`, exchanges so far."""

    uses: jax.Array


def ternary(*, clip: float = 2.5, size: int) -> Compressor:
    """Returns the mean of stochastic ternaries.

    Args:
        clip: Clip values at so many standard deviations of their tensor; 0 clips
            nothing.
        size: Members along the axis.

    Example:
        >>> ternary(size=5).route, ternary(size=6).route
        ('gather', 'two_phase')
    """
    gathers = size <= MOST_GATHERED

    def mean(
        values: Leaves, state: TernaryState, wire: Wire, turn: int
    ) -> tuple[Leaves, TernaryState]:
        del turn
        scales = _shared_scales(values, clip, wire)
        codes = _drawn(values, scales, state.uses, wire)
        shares = 1 if gathers else wire.size
        bucket = bucket_of(shapes_of(values), block=1, chunks=_TO_A_BYTE * shares)
        add = _added_here if gathers else _added_by_chunks
        sums = unpack(add(pack(codes, bucket), wire), bucket, values)
        made = jax.tree.map(
            lambda total, s: total.astype(s.dtype) * (s * (1 / wire.size)), sums, scales
        )
        return made, TernaryState(state.uses + 1)

    route, reason = _route(size)
    return Compressor(
        init=lambda values: TernaryState(jnp.uint32(0)),
        mean=mean,
        equations=_equations(clip),
        route=route,
        reason=reason,
        skips=skips_vectors,
    )


def _shared_scales(values: Leaves, clip: float, wire: Wire) -> Leaves:
    """Returns the largest scale over the members of each leaf, `[]`; all cross in one.

    NaN is made infinite, for which no backend's maximum is in doubt.
    """
    leaves, tree = jax.tree.flatten(values)
    mine = jnp.stack([_scale(leaf, clip) for leaf in leaves]).astype(jnp.float32)
    shared = wire.max(jnp.where(jnp.isnan(mine), jnp.inf, mine))
    typed = [shared[i].astype(leaf.dtype) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(tree, typed)  # type: ignore[no-any-return]


def _scale(leaf: jax.Array, clip: float) -> jax.Array:
    largest = jnp.max(jnp.abs(leaf))
    if not clip:
        return largest
    share = 1 / leaf.size
    apart = leaf - jnp.sum(leaf) * share
    return jnp.minimum(largest, clip * jnp.sqrt(jnp.sum(apart * apart) * share))


def _drawn(values: Leaves, scales: Leaves, uses: jax.Array, wire: Wire) -> Leaves:
    """Returns -1, 0 or 1 for each value, `int8`."""
    stream = wire.stream(Stream.TERNARIES)

    def draw(number: int, leaf: jax.Array, scale: jax.Array) -> jax.Array:
        key = key_of(seed_within(stream, number), uses, wire.place())
        chance = uniform(key, leaf.shape).astype(leaf.dtype)
        inverse = 1 / jnp.where(scale == 0, 1, scale)
        is_kept = chance < jnp.abs(jnp.clip(leaf, -scale, scale)) * inverse
        return jnp.where(is_kept, jnp.sign(leaf), 0).astype(jnp.int8)

    return [
        None if leaf is None else draw(number, leaf, scale)
        for number, (leaf, scale) in enumerate(zip(values, scales, strict=True))
    ]


def _added_here(codes: jax.Array, wire: Wire) -> jax.Array:
    """Returns the sum of everyone's codes, each sent to all."""
    everyone = wire.gather(_packed(codes[None])[0])
    return jnp.sum(_unpacked(everyone, codes.size), axis=0, dtype=jnp.int8)


def _added_by_chunks(codes: jax.Array, wire: Wire) -> jax.Array:
    """Returns the sum of everyone's codes, a chunk of which each member adds."""
    chunks = codes.reshape(wire.size, -1)
    mine = _unpacked(wire.swap(_packed(chunks)), chunks.shape[1])
    whole = jnp.int8 if wire.size <= MOST_IN_8_BITS else jnp.int16
    return wire.gather(jnp.sum(mine, axis=0, dtype=whole)).reshape(-1)


def _packed(codes: jax.Array) -> jax.Array:
    return bits.pack((codes + 1).astype(jnp.uint8), _WIDTH)


def _unpacked(packed: jax.Array, block: int) -> jax.Array:
    return bits.unpack(packed, _WIDTH, block).astype(jnp.int8) - 1


def _route(size: int) -> tuple[Route, str]:
    if size == 1:
        return "gather", "one member: nothing crosses"
    if size <= MOST_GATHERED:
        return "gather", f"to {size} members ternaries send no more than sums in chunks"
    return (
        "two_phase",
        "a sum of ternaries has 8 bits where all of them would have more",
    )


def _equations(clip: float) -> tuple[str, ...]:
    own = f"min(max|{{x}}|, {clip:g} sigma)" if clip else "max|{x}|"
    return (
        f"s = the largest {own} of any member, by tensor",
        "t = sgn({x}) with probability min(|{x}|, s)/s, else 0",
        "{y} = s times the mean of t",
    )
