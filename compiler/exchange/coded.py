"""The mean of values in a codec's form: added on the way, gathered, or in two phases.

    y = (1/N) sum_i C(v_i + e_i)            e_i <- v_i + e_i - C(v_i + e_i)

with e = 0 unless the codec keeps feedback. Three routes, of which the plan takes the
one that sends least:

* sum: an exact codec's values are multiplied by 1/N and added on the way;
* gather: everyone sends its payload to all and averages what it decodes;
* two phases: the vector is cut into N chunks; member j averages everyone's chunk j,
  adds what its own code lost the last time, encodes again and sends it to all:

      m_j = (1/N) sum_i C(v_i + e_i)[j] + s_j     y[j] = C(m_j)     s_j <- m_j - C(m_j)

Bill, for a payload of p bytes: sum 2p(N-1)/N; gather p(N-1); two phases 2p(N-1)/N. At
N = 2 gather and two phases send the same and gather rounds once less.
Limits: with `none` it is the plain mean of data parallelism; N = 1 leaves only the
code's rounding.

References: S. Zheng, Z. Huang, J. Kwok, Communication-Efficient Distributed Blockwise
Momentum SGD with Error-Feedback, arXiv 1905.10936, 2019, for feedback at the worker
and at the server. Each member serves one chunk, as in H. Tang et al., 1-bit Adam,
arXiv 2102.02888, 2021.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.bucket import (
    Bucket,
    bucket_of,
    counts_of,
    pack,
    shapes_of,
    unpack,
)
from diamond.compiler.exchange.contract import Codec, Compressor, Leaves
from diamond.compiler.exchange.noise import Stream, key_of
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Route

MOST_UNROLLED = 16


class Feedback(NamedTuple):
    """What a codec remembers on one device; None where it does not.

    Attributes:
        worker: `[n]`, lost by what this member sends.
        server: `[n / N]`, lost by the chunk that it averages.
        uses: `uint32[]`, exchanges so far, for codecs that draw.
    """

    worker: jax.Array | None
    server: jax.Array | None
    uses: jax.Array | None = None


def coded(codec: Codec, size: int) -> Compressor:
    """Returns the mean of a codec's values over `size` members.

    Args:
        codec: Form of the values on the wire.
        size: Members along the axis.
    """
    chosen, reason = _best(codec, size)
    if chosen == "sum":
        return _summed(reason)
    chunks = size if chosen == "two_phase" else 1

    def lay(values: Leaves) -> Bucket:
        return bucket_of(shapes_of(values), block=codec.block, chunks=chunks)

    def init(values: Leaves) -> Feedback:
        count = jnp.uint32(0) if codec.draws else None
        if not codec.feedback:
            return Feedback(None, None, count)
        bucket, dtype = lay(values), dtype_of(values)
        worker = jnp.zeros(bucket.elements, dtype)
        two = chosen == "two_phase"
        server = jnp.zeros(bucket.elements // size, dtype) if two else None
        return Feedback(worker, server, count)

    def mean(
        values: Leaves, state: Feedback, wire: Wire, turn: int
    ) -> tuple[Leaves, Feedback]:
        del turn
        bucket, dtype = lay(values), dtype_of(values)
        counts = counts_for(codec, bucket)
        whole = fitted(codec, counts)
        payload, worker = sent(pack(values, bucket), state, whole, wire)
        if chosen == "gather":
            everyone = jax.tree.map(wire.gather, payload)
            vector, server = mean_of_decoded(everyone, size, whole, dtype), None
        else:
            part, own = mean_of_chunk(payload, counts, codec, wire, dtype)
            vector, server = _answered(part, state, codec, own, wire)
        return unpack(vector, bucket, values), Feedback(
            worker, server, after(state.uses)
        )

    equations = _equations(codec, chosen)
    return Compressor(init, mean, equations, chosen, reason, skips=codec.skips)


def counts_for(codec: Codec, bucket: Bucket) -> jax.Array | None:
    """Returns how many values a codec's blocks hold; None where it does not matter."""
    return counts_of(bucket, codec.block) if codec.within else None


def fitted(codec: Codec, counts: jax.Array | None) -> Codec:
    """Returns a codec for blocks that hold so many values; all, where None."""
    return codec if codec.within is None or counts is None else codec.within(counts)


def dtype_of(values: Leaves) -> Any:
    """Returns the element type of leaves."""
    return jax.tree.leaves(values)[0].dtype


def after(uses: jax.Array | None) -> jax.Array | None:
    """Returns the count of exchanges after one more."""
    return None if uses is None else uses + 1


def sent(
    vector: jax.Array, state: Feedback, codec: Codec, wire: Wire
) -> tuple[Any, jax.Array | None]:
    """Encodes what a member sends, and what it owes; returns what it owes then."""
    return encoded(vector, state.worker, codec, key_at(state.uses, wire))


def encoded(
    vector: jax.Array, lost: jax.Array | None, codec: Codec, key: jax.Array
) -> tuple[Any, jax.Array | None]:
    """Encodes a vector and what was lost before; returns what is lost now."""
    if lost is None:
        return codec.encode(vector, key), None
    wanted = vector + lost
    payload = codec.encode(wanted, key)
    if codec.rounded is not None:
        return payload, wanted - codec.rounded(wanted, key)
    return payload, wanted - codec.decode(payload, vector.dtype)


def swapped(payload: Any, wire: Wire) -> Any:
    """Sends chunk j of a payload to member j; returns everyone's chunk of this one."""

    def swap(part: jax.Array) -> jax.Array:
        return wire.swap(part.reshape(wire.size, -1, *part.shape[1:]))

    return jax.tree.map(swap, payload)


def mean_of_chunk(
    payload: Any, counts: jax.Array | None, codec: Codec, wire: Wire, dtype: Any
) -> tuple[jax.Array, Codec]:
    """Returns the mean of everyone's chunk of this member: the first of two phases.

    Args:
        payload: What this member sends, chunk after chunk.
        counts: How many values its blocks hold; see `counts_for`.
        codec: Its codec.
        wire: The axis, of as many members as there are chunks.
        dtype: Element type of the mean.

    Returns:
        The mean, and the codec fitted to this member's chunk.
    """
    rows = None if counts is None else counts.reshape(wire.size, -1)
    own = fitted(codec, None if rows is None else rows[wire.place()])
    return mean_of_decoded(swapped(payload, wire), wire.size, own, dtype), own


def mean_of_decoded(payloads: Any, size: int, codec: Codec, dtype: Any) -> jax.Array:
    """Decodes and adds in the order of the members; the last bit is well defined."""

    def add(total: jax.Array, payload: Any) -> tuple[jax.Array, None]:
        return total + codec.decode(payload, dtype), None

    first = codec.decode(jax.tree.map(lambda part: part[0], payloads), dtype)
    others = jax.tree.map(lambda part: part[1:], payloads)
    total, _ = jax.lax.scan(add, first, others, unroll=min(size, MOST_UNROLLED))
    return total * (1 / size)


def _summed(reason: str) -> Compressor:
    def mean(
        values: Leaves, state: tuple[()], wire: Wire, turn: int
    ) -> tuple[Leaves, tuple[()]]:
        del turn
        return exact_mean(values, wire), state

    equations = ("{y} = mean of {x}",)
    return Compressor(
        lambda values: (), mean, equations, route="sum", reason=reason, is_exact=True
    )


def exact_mean(values: Leaves, wire: Wire) -> Leaves:
    """Returns the mean of values that cross as they are, divided before added."""
    shares = jax.tree.map(lambda leaf: leaf * (1 / wire.size), values)
    return wire.sum(shares)  # type: ignore[no-any-return]


def _best(codec: Codec, size: int) -> tuple[Route, str]:
    if codec.is_exact:
        return "sum", "values add up on the way"
    if size == 1:
        return "gather", "one member: nothing crosses"
    if size == 2:
        reason = "two members: as few bytes as two phases, one rounding less"
        return "gather", reason
    reason = f"codes do not add up; two phases send 2/{size} of what a gather sends"
    return "two_phase", reason


def key_at(uses: jax.Array | None, wire: Wire, offset: int = 0) -> jax.Array:
    """Returns this member's key of an exchange; some key for codecs that draw not."""
    if uses is None:
        return jnp.zeros((), jnp.uint32)
    return key_of(wire.stream(Stream.ROUNDING), uses, wire.place() + offset)


def _answered(
    part: jax.Array, state: Feedback, codec: Codec, own: Codec, wire: Wire
) -> tuple[jax.Array, jax.Array | None]:
    """Encodes the chunk that this member averaged; returns everyone's, end to end.

    Args:
        part: The chunk.
        state: Whose server owes something.
        codec: What decodes all chunks; of padding it may make anything.
        own: The same, fitted to this member's chunk.
        wire: The axis.
    """
    key = key_at(state.uses, wire, wire.size)
    answer, server = encoded(part, state.server, own, key)

    def join(array: jax.Array) -> Any:
        return wire.gather(array).reshape(-1, *array.shape[1:])

    return codec.decode(jax.tree.map(join, answer), part.dtype), server


def _equations(codec: Codec, route: Route) -> tuple[str, ...]:
    sends = "{x} + e" if codec.feedback else "{x}"
    lines = [codec.equation]
    if route == "gather":
        lines.append(f"{{y}} = mean of C({sends})")
    else:
        owed = " + s" if codec.feedback else ""
        lines.append(f"m = mean of C({sends}){owed}, by chunks")
        lines.append("{y} = C(m)")
    if codec.feedback:
        lines.append(f"e <- {{x}} + e - C({sends})")
        if route == "two_phase":
            lines.append("s <- m - C(m)")
    return tuple(lines)
