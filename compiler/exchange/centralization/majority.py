"""Majority: each value moves by the sign that most members vote for.

    y = 1 where sum_i sgn(v_i) >= 0, else -1        sgn(0) = 1

Votes cross as bits both ways: member j counts everyone's votes on chunk j and sends the
outcome to all.

Bill, for n values: 2 (n/8)(N-1)/N bytes, 1/32 of an fp32 all-reduce.
Limits: N = 1 is the sign; with the same sign everywhere it is that sign. The size of
the step is the learning rate alone: it should be that of Adam, and fall to zero.
Traps: a tie, of an even N, is 1. What is not a number votes -1, so that an overflow
shows in the loss only. Without feedback it may stall where signs do not tell.

References: J. Bernstein et al., signSGD: Compressed Optimisation for Non-Convex
Problems, arXiv 1802.04434, 2018; signSGD with Majority Vote is Communication Efficient
and Fault Tolerant, arXiv 1810.05291, 2018.
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange import bits
from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.coded import exact_mean
from diamond.compiler.exchange.contract import Leaves, Mixer
from diamond.compiler.exchange.dense import merged, part_of
from diamond.compiler.exchange.wire import Wire

_BYTE = 8


def majority(*, wire: Wire, dense: frozenset[int] = frozenset()) -> Mixer:
    """Returns the majority's signs over a mesh axis, in the place of a mean.

    Args:
        wire: The axis.
        dense: Places of the leaves that are averaged as they are.

    Example:
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> majority(wire=mesh_wire("host", 4)).route
        'two_phase'
    """

    def mean(values: Leaves, state: tuple[()], turn: int) -> tuple[Leaves, tuple[()]]:
        del turn
        voting = frozenset(range(len(values))) - dense
        exact = exact_mean(part_of(values, dense), wire)
        return merged(_outcome(part_of(values, voting), wire), exact), state

    note = (f"{len(dense)} tensors cross as they are",) if dense else ()
    return Mixer(
        init=lambda values: (),
        mean=mean,
        equations=(f"{{y}} = sgn(sum of sgn({{x}}) over {wire.axis})", *note),
        route="two_phase",
        reason="votes are counted by chunks, and cross as bits both ways",
    )


def _outcome(values: Leaves, wire: Wire) -> Leaves:
    if not jax.tree.leaves(values):
        return values
    bucket = bucket_of(shapes_of(values), block=1, chunks=_BYTE * wire.size)
    vector = pack(values, bucket)
    votes = (vector >= 0).astype(jnp.uint8).reshape(wire.size, -1)
    won = _counted(votes, wire).astype(vector.dtype)
    leaves: Leaves = unpack(2 * won - 1, bucket, values)
    return leaves


def _counted(votes: jax.Array, wire: Wire) -> jax.Array:
    """Returns whether most vote 1, `uint8[n]`, of votes `uint8[N, n / N]`."""
    size, share = votes.shape
    heard = bits.unpack(wire.swap(bits.pack(votes, 1)), 1, share)
    ayes = jnp.sum(heard, axis=0, dtype=jnp.int32)
    won = (2 * ayes >= size).astype(jnp.uint8)
    answers = wire.gather(bits.pack(won[None], 1)[0])
    return bits.unpack(answers, 1, share).reshape(-1)
