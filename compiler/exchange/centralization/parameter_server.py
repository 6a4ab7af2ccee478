"""Parameter server: S of N members own a shard each of parameters and optimizer.

    m[j] = (1/N) sum_i C(v_i + e_i)[j]  at its owner    e_i <- v_i + e_i - C(v_i + e_i)
    x[j] <- the optimizer on m[j]                       x <- everyone's shards

The parameters, flattened, are cut into S equal shards, and member j < S owns shard j:
it alone keeps the optimizer's state of it. Members that own nothing hold zeros of the
same shape. What is pushed may be coded; the mean is not coded again, and parameters
come back as they are. With `backup = b` the gradients of the b members that are late
at a step, by a seeded law, count for nothing:

    v_i <- 0 if i is late, else v_i N / (N - b)

A codec that draws (`qsgd`) draws for each tensor by itself, so that its codes do not
depend on how tensors are laid out in shards.

What is late is lost: it is not pushed at a later step. The feedback e_i is not late
with it, so that a late member still pushes C(e_i), what its codec owed from the steps
before. Who is late is drawn apart from how old gradients are: under `asynchronous`,
`hogwild` and `pipelined`, b of the N gradients that a step would average, of whatever
age, count for nothing, after `compensation` and before the delay of `pipelined`.

Bill, for n bytes of parameters and p of their code: p(N-1)/N pushed and n(N-1)/N
pulled where S = N; (p + n)(N-1)/S at an owner, the busiest member, where S < N.
Optimizer: 1/S of its state a member.
Limits: with `none` and no backup it is a synchronous all-reduce, for every optimizer
that treats each value by itself; others are refused.
Trap: with S < N owners do more than the others: S = N is fastest on equal links.

References: M. Li et al., Scaling Distributed Machine Learning with the Parameter
Server, OSDI 2014; J. Chen et al., Revisiting Distributed Synchronous SGD, arXiv
1604.00981, 2016 (backup workers; here lateness is drawn and not measured).
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import (
    Bucket,
    bucket_of,
    pack,
    padded,
    shapes_of,
    unpack,
)
from diamond.compiler.exchange.coded import (
    after,
    counts_for,
    encoded,
    fitted,
    key_at,
    mean_of_decoded,
)
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.contract import Codec, Leaves, Mixer, Payload, Server
from diamond.compiler.exchange.noise import Stream, bits, key_of, seed_within
from diamond.compiler.exchange.owners import (
    from_owners,
    own_row,
    to_owners,
    zeroed,
)
from diamond.compiler.exchange.wire import Wire


class ServerState(NamedTuple):
    """What a member keeps; None where it does not.

    Attributes:
        worker: For each lot, `[n]`, lost by what this member pushed.
        uses: `uint32[]`, pushes so far, for what is drawn.
    """

    worker: tuple[jax.Array | None, ...]
    uses: jax.Array | None


class Lot(NamedTuple):
    """Leaves that are cut among the owners together, and the block that none cuts."""

    places: tuple[int, ...]
    block: int


def lots_of(
    blocks: Sequence[int], dense: Sequence[frozenset[int]], num: int
) -> tuple[Lot, ...]:
    """Sorts leaves so that shards stay the same whichever codec of a run is in use.

    Args:
        blocks: For each codec of the run, its block.
        dense: For each codec of the run, the leaves that it leaves as they are.
        num: How many leaves there are.

    Example:
        >>> lots_of([4, 6], [frozenset(), frozenset({1})], 3)
        (Lot(places=(0, 2), block=12), Lot(places=(1,), block=4))
    """
    alike: dict[tuple[bool, ...], list[int]] = {}
    for place in range(num):
        alike.setdefault(tuple(place in each for each in dense), []).append(place)
    lots = []
    for skips, places in alike.items():
        taken = [b for b, skip in zip(blocks, skips, strict=True) if not skip]
        lots.append(Lot(tuple(places), math.lcm(*taken)))
    return tuple(lots)


def parameter_server(
    *,
    wire: Wire,
    codec: Codec,
    lots: tuple[Lot, ...],
    dense: frozenset[int] = frozenset(),
    shards: int | None = None,
    backup: int = 0,
) -> Mixer:
    """Returns the mean at the owners of its shards, over a mesh axis.

    Args:
        wire: The axis.
        codec: Form of what is pushed.
        lots: How the leaves are laid out.
        dense: Places of the leaves that are pushed as they are; whole lots.
        shards: How many members own a shard; all where not given.
        backup: How many members are late at each step.

    Example:
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> lots = lots_of([1], [frozenset()], 3)
        >>> parameter_server(wire=mesh_wire("host", 4), codec=none(), lots=lots).route
        'server'
    """
    size, shards = wire.size, shards or wire.size
    forms = [none() if lot.places[0] in dense else codec for lot in lots]

    def rows_of(values: Leaves) -> list[jax.Array]:
        return [_rows(values, lot, shards) for lot in lots]

    def init(values: Leaves) -> ServerState:
        cut = zip(forms, rows_of(values), strict=True)
        worker = [jnp.zeros(r.size, r.dtype) if f.feedback else None for f, r in cut]
        draws = codec.draws or backup
        return ServerState(tuple(worker), jnp.uint32(0) if draws else None)

    def mean(
        values: Leaves, state: ServerState, turn: int
    ) -> tuple[Leaves, ServerState]:
        del turn
        key = key_at(state.uses, wire)
        if state.uses is not None:
            values = _timely(values, state.uses, backup, wire)
        parts, worker = [], []
        for lot, form, lost in zip(lots, forms, state.worker, strict=True):
            form = _by_leaf(form, values, lot, state.uses, wire)
            rows = _rows(values, lot, shards)
            counts = counts_for(form, _bucket(values, lot, shards))
            part, left = _pushed(rows, counts, lost, form, key, wire)
            parts.append(part)
            worker.append(left)
        shard = zeroed(jnp.concatenate(parts), shards, wire)
        return [shard], ServerState(tuple(worker), after(state.uses))

    def own(values: Leaves) -> jax.Array:
        return own_row(jnp.concatenate(rows_of(values), axis=1), wire)

    def pull(shard: jax.Array, values: Leaves) -> Leaves:
        return _laid_out(from_owners(shard, shards, wire), lots, values)

    return Mixer(
        init=init,
        mean=mean,
        equations=_equations(wire, codec, shards, backup),
        route="server",
        reason=_reason(shards, size),
        server=Server(own, pull),
    )


def _bucket(values: Leaves, lot: Lot, shards: int) -> Bucket:
    shapes = shapes_of([values[place] for place in lot.places])
    return bucket_of(shapes, block=lot.block, chunks=shards)


def _rows(values: Leaves, lot: Lot, shards: int) -> jax.Array:
    """Returns a lot of leaves as `[S, m]`, a row for each owner."""
    vector = pack([values[place] for place in lot.places], _bucket(values, lot, shards))
    return vector.reshape(shards, -1)


def _laid_out(rows: jax.Array, lots: tuple[Lot, ...], values: Leaves) -> Leaves:
    """Returns leaves like others from everyone's shards, `[S, m]`."""
    leaves, start = list(values), 0
    for lot in lots:
        bucket = _bucket(values, lot, len(rows))
        stop = start + bucket.elements // len(rows)
        mine = [values[place] for place in lot.places]
        found = unpack(rows[:, start:stop].reshape(-1), bucket, mine)
        for place, leaf in zip(lot.places, found, strict=True):
            leaves[place] = leaf
        start = stop
    return leaves


def _by_leaf(
    codec: Codec, values: Leaves, lot: Lot, uses: jax.Array | None, wire: Wire
) -> Codec:
    """Returns a codec that draws anew for each leaf of a lot.

    What a leaf is rounded to must not depend on the leaves and the padding before it,
    which other codecs of the run have a say in.
    """
    if not codec.draws or uses is None:
        return codec
    stream, place = wire.stream(Stream.ROUNDING), wire.place()
    keys = [key_of(seed_within(stream, leaf), uses, place) for leaf in lot.places]
    sizes = [padded(values[leaf].size, lot.block) for leaf in lot.places]

    def encode(vector: jax.Array, key: jax.Array) -> Payload:
        del key
        pieces = jnp.split(vector, list(itertools.accumulate(sizes[:-1])))
        parts = [codec.encode(v, k) for v, k in zip(pieces, keys, strict=True)]
        return jax.tree.map(lambda *each: jnp.concatenate(each), *parts)

    return codec._replace(encode=encode)


def _pushed(
    rows: jax.Array,
    counts: jax.Array | None,
    lost: jax.Array | None,
    codec: Codec,
    key: jax.Array,
    wire: Wire,
) -> tuple[jax.Array, jax.Array | None]:
    """Returns the mean of everyone's row for this member, and what it lost itself."""
    payload, left = encoded(rows.reshape(-1), lost, fitted(codec, counts), key)
    heard = jax.tree.map(
        lambda part: to_owners(part.reshape(len(rows), -1), wire), payload
    )
    mine = None if counts is None else own_row(counts.reshape(len(rows), -1), wire)
    return mean_of_decoded(heard, wire.size, fitted(codec, mine), rows.dtype), left


def _timely(values: Leaves, uses: jax.Array, backup: int, wire: Wire) -> Leaves:
    """Returns what counts of this member's values: nothing if it is late."""
    if not backup:
        return values
    stream = wire.stream(Stream.LATENESS)
    late = late_at(uses, backup, stream, wire.size)[wire.place()]
    scale = wire.size * (1 / (wire.size - backup))
    kept: Leaves = jax.tree.map(lambda value: jnp.where(late, 0, value * scale), values)
    return kept


def late_at(
    uses: jax.Array, backup: int, seed: int | jax.Array, size: int
) -> jax.Array:
    """Returns who is late, `bool[N]`: those who draw the largest numbers.

    Args:
        uses: Pushes before this one.
        backup: How many are late.
        seed: Of the stream.
        size: Members along it.

    Example:
        >>> int(late_at(jnp.uint32(3), 2, 7, 5).sum())
        2
    """
    members = jnp.arange(size)
    drawn = jax.vmap(lambda member: bits(key_of(seed, uses, member), 1)[0])(members)
    ties = (drawn == drawn[:, None]) & (members > members[:, None])
    later = (drawn > drawn[:, None]) | ties
    return later.sum(axis=1) < backup


def _reason(shards: int, size: int) -> str:
    if size == 1:
        return "one member: nothing crosses"
    if shards == size:
        return "each member owns a shard, and the optimizer's state of it"
    owners = (
        "1 member owns all" if shards == 1 else f"{shards} members own a shard each"
    )
    return f"{owners}; the {size - shards} others hold zeros"


def _equations(wire: Wire, codec: Codec, shards: int, backup: int) -> tuple[str, ...]:
    sends = "{x}" if codec.is_exact else "C({x} + e)" if codec.feedback else "C({x})"
    lines = [] if codec.is_exact else [codec.equation]
    if backup:
        scale = f"{wire.size}/{wire.size - backup}"
        lines.append(f"{{x}} <- 0 at the {backup} latest, {{x}} {scale} elsewhere")
    owners = "its owner" if shards == 1 else f"the owners of its {shards} shards"
    lines.append(f"{{y}} = mean over {wire.axis} of {sends}, at {owners}")
    if codec.feedback:
        lines.append(f"e <- {{x}} + e - {sends}")
    return tuple(lines)
