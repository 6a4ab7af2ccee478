"""Gossip: each copy mixes its parameters with its neighbours' only.

    x_i <- w_ii x_i + sum_{j != i} w_ij x_j

with the matrix W of a round of a topology; where there are several, rounds take turns:

    complete      everyone, 1/N each
    ring          itself and both neighbours, 1/3 each
    exponential   half itself, half i - 2^r, r = 0, 1, ... in turn
    hypercube     half itself, half i XOR 2^r, r = 0, 1, ... in turn
    pairs         half itself, half its partner in a round of a tournament
    chain         a line; each gives equal shares to itself and its neighbours; needs
                  push_sum, since the ends give larger shares than the others

With a codec what is lost stays with its owner, and the copies' mean is conserved:

    x_i <- x_i + sum_{j != i} w_ij C(x_j) - (1 - w_ii) C(x_i)

With push-sum the columns of W need to add up to 1, and not its rows; weights o, mixed
along, say how much of all each member holds, so that the copies tend to their mean:

    y_i <- y_i + (x_i - y_i / o_i)     y, o <- W y, W o     x_i <- y_i / o_i

where y_i <- o_i x_i once an axis further out has moved the copies.

Bill: a hop sends the parameters to one neighbour: one hop a mixing (exponential,
hypercube, pairs) or two (ring, chain); complete is an all-reduce of them, or a gather
of codes. Push-sum keeps y, another copy, and sends o, one number a hop.
Limits: complete is an all-reduce of the parameters, and with SGD at every step that of
the gradients; exponential and hypercube have the exact mean after log2 N mixings where
N = 2^k. How fast the copies agree is told by the spectral gap.

References: X. Lian et al., Can Decentralized Algorithms Outperform Centralized
Algorithms?, arXiv 1705.09056, 2017 (D-PSGD; here the update comes before the mixing);
M. Assran et al., Stochastic Gradient Push, arXiv 1811.10792, 2019; A. Koloskova, S.
Stich, M. Jaggi, Decentralized Stochastic Optimization and Gossip Algorithms with
Compressed Communication, arXiv 1902.00340, 2019 (codes that conserve the mean; here
without memory of the neighbours).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.coded import after, key_at
from diamond.compiler.exchange.contract import Codec, Leaves, Mixer
from diamond.compiler.exchange.dense import merged, part_of
from diamond.compiler.exchange.mixing import mixed, mixed_codes
from diamond.compiler.exchange.topologies import (
    Round,
    rounds_of,
    spectral_gap,
)
from diamond.compiler.exchange.wire import Wire

Topology = Literal["ring", "exponential", "hypercube", "complete", "pairs", "chain"]


class PushSum(NamedTuple):
    """`numerators` are like the parameters; `weight` is one number of their type."""

    numerators: Leaves
    weight: jax.Array


class GossipState(NamedTuple):
    """What a member keeps; None where it does not.

    Attributes:
        uses: `uint32[]`, mixings so far, for codecs that draw.
        push: Numerators and weight of push-sum.
    """

    uses: jax.Array | None
    push: PushSum | None


def gossip(
    *,
    wire: Wire,
    codec: Codec,
    dense: frozenset[int] = frozenset(),
    topology: Topology = "exponential",
    push_sum: bool = False,
) -> Mixer:
    """Returns the mixing of parameters with those of neighbours over a mesh axis.

    Args:
        wire: The axis.
        codec: Form of the parameters on the wire; it has no feedback.
        dense: Places of the leaves that cross as they are.
        topology: Who the neighbours are.
        push_sum: Carry weights along, for topologies that are not even.

    Raises:
        ValueError: If the topology does not exist for so many members, or is uneven
            and there are no weights.

    Example:
        >>> from diamond.compiler.exchange.compression.none import none
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> gossip(wire=mesh_wire("host", 8), codec=none()).turns
        (0, 1, 2)
    """
    if topology == "chain" and not push_sum:
        raise ValueError("`topology = chain` needs `push_sum = true`")
    rounds = rounds_of(topology, wire.size)

    def init(values: Leaves) -> GossipState:
        uses = jnp.uint32(0) if codec.draws else None
        return GossipState(uses, _begun(values) if push_sum else None)

    def begin(values: Leaves, state: GossipState) -> GossipState:
        return GossipState(state.uses, _begun(values) if push_sum else None)

    def follow(values: Leaves, state: GossipState) -> GossipState:
        if state.push is None:
            return state
        weight = state.push.weight
        y = jax.tree.map(lambda x: x * weight, values)
        return GossipState(state.uses, PushSum(y, weight))

    def mix(values: Leaves, uses: jax.Array | None, mixing: Round) -> Leaves:
        if codec.is_exact:
            return _as_one(values, 1, lambda vector: mixed(vector, mixing, wire))
        return _mix_codes(values, dense, codec, uses, mixing, wire)

    def mean(
        values: Leaves, state: GossipState, turn: int
    ) -> tuple[Leaves, GossipState]:
        uses = after(state.uses)
        if wire.size == 1:
            return values, state._replace(uses=uses)
        if state.push is None:
            return mix(values, state.uses, rounds[turn]), GossipState(uses, None)
        y = mix(_moved(values, state.push), state.uses, rounds[turn])
        weight = mixed(state.push.weight, rounds[turn], wire)
        x: Leaves = jax.tree.map(lambda leaf: leaf * (1 / weight), y)
        return x, GossipState(uses, PushSum(y, weight))

    return Mixer(
        init=init,
        mean=mean,
        equations=_equations(wire.axis, codec, topology, push_sum),
        route="neighbours",
        reason=_reason(topology, wire.size),
        turns=tuple(range(len(rounds))),
        begin=begin,
        follow=follow,
    )


def _begun(values: Leaves) -> PushSum:
    dtype = jax.tree.leaves(values)[0].dtype
    return PushSum(jax.tree.map(jnp.copy, values), jnp.ones((), dtype))


def _moved(values: Leaves, push: PushSum) -> Leaves:
    """Returns the numerators, moved by what the parameters moved since."""
    inverse = 1 / push.weight
    moved: Leaves = jax.tree.map(
        lambda y, x: y + (x - y * inverse), push.numerators, values
    )
    return moved


def _mix_codes(
    values: Leaves,
    dense: frozenset[int],
    codec: Codec,
    uses: jax.Array | None,
    mixing: Round,
    wire: Wire,
) -> Leaves:
    """Mixes dense leaves as they are and the others in a codec's form."""
    coded = frozenset(range(len(values))) - dense
    key = key_at(uses, wire)

    def code(vector: jax.Array) -> jax.Array:
        return mixed_codes(vector, codec, key, mixing, wire)

    return merged(
        _as_one(part_of(values, coded), codec.block, code),
        _as_one(part_of(values, dense), 1, lambda part: mixed(part, mixing, wire)),
    )


def _as_one(
    values: Leaves, block: int, change: Callable[[jax.Array], jax.Array]
) -> Leaves:
    """Changes leaves as one vector, so that a hop is one message."""
    if not jax.tree.leaves(values):
        return values
    bucket = bucket_of(shapes_of(values), block=block)
    leaves: Leaves = unpack(change(pack(values, bucket)), bucket, values)
    return leaves


def _reason(topology: str, size: int) -> str:
    if size == 1:
        return "one member: nothing crosses"
    gap = spectral_gap(topology, size)
    if gap == 1:
        mixings = len(rounds_of(topology, size))
        return f"spectral gap 1: {mixings} mixing{'s' * (mixings > 1)} make the mean"
    return f"spectral gap {gap:.3g}: a mixing leaves {1 - gap:.3g} of the disagreement"


def _equations(
    axis: str, codec: Codec, topology: str, push_sum: bool
) -> tuple[str, ...]:
    peers = f"j of {axis} by {topology}"
    u = "y" if push_sum else "{x}"
    made = f"sum_j w_ij {u}_j, {peers}"
    lines = []
    if not codec.is_exact:
        lines.append(codec.equation)
        made = f"{u} + sum_(j != i) w_ij C({u}_j) - (1 - w_ii) C({u}), {peers}"
    if not push_sum:
        return (*lines, f"{{y}} = {made}")
    lines += ["y <- y + ({x} - y/o)", f"y <- {made}", "o <- sum_j w_ij o_j"]
    return (*lines, "{y} = y/o")
