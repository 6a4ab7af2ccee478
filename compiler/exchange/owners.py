"""Owners: the first S of N members own a shard each; push to them and pull from them.

Where all own one, an all-to-all pushes and an all-gather pulls. Where some do, each
owner hears from one member after another, so that only owners receive:

    push, in hop h = 1 .. N-1:   owner j hears from member j - h
    pull, in hop h = 1 .. N-1:   member j + h hears from owner j

Bill, for n bytes cut in S shards, each way: n(N-1)/N where S = N, and n(N-1)/S at an
owner, the busiest member, where S < N.
"""

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Pairs


def to_owners(rows: jax.Array, wire: Wire) -> jax.Array:
    """Returns what all members have for this one, `[N, m]`, in their order.

    Args:
        rows: `[S, m]`, row j for owner j.
        wire: The axis.

    Example:
        >>> from diamond.compiler.exchange.wire import Tape
        >>> tape = Tape()
        >>> to_owners(jnp.ones((1, 6)), tape.wire("host", 3)).shape
        (3, 6)
        >>> [message.elements for message in tape.messages]
        [6, 6]
    """
    size, shards, place = wire.size, len(rows), wire.place()
    if shards == size:
        return wire.swap(rows)
    heard = [_row(rows, place)]
    for hop in range(1, size):
        pairs: Pairs = tuple(((j - hop) % size, j) for j in range(shards))
        heard.append(wire.send(_row(rows, (place + hop) % size), pairs))
    return jnp.stack(heard)[(place - jnp.arange(size)) % size]


def from_owners(shard: jax.Array, shards: int, wire: Wire) -> jax.Array:
    """Returns every owner's shard, `[S, m]`.

    Args:
        shard: `[m]`, this member's; whatever where it owns none.
        shards: How many members own one.
        wire: The axis.
    """
    size, place = wire.size, wire.place()
    if shards == size:
        return wire.gather(shard)
    rows = jnp.zeros((shards, *shard.shape), shard.dtype)
    rows = rows.at[place].set(shard, mode="drop")
    for hop in range(1, size):
        pairs: Pairs = tuple((j, (j + hop) % size) for j in range(shards))
        owner = (place - hop) % size
        rows = rows.at[owner].set(wire.send(shard, pairs), mode="drop")
    return rows


def own_row(rows: jax.Array, wire: Wire) -> jax.Array:
    """Returns this member's row of `[S, m]`; zeros where it owns none."""
    if len(rows) == wire.size:
        return rows[wire.place()]
    return zeroed(_row(rows, wire.place()), len(rows), wire)


def zeroed(shard: jax.Array, shards: int, wire: Wire) -> jax.Array:
    """Returns a shard, or zeros on the members that own none."""
    if shards == wire.size:
        return shard
    return jnp.where(wire.place() < shards, shard, 0)


def _row(rows: jax.Array, place: jax.Array) -> jax.Array:
    """Returns the row at a place; some row where there is none."""
    return rows[jnp.minimum(place, len(rows) - 1)]
