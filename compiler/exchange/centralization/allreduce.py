"""All-reduce: every copy gets the mean over all copies of an axis of N members.

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

from diamond.compiler.exchange.bucket import Bucket, bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.contract import Codec, Mixer, Tree, Way
from diamond.compiler.plan import Message, Route

MOST_UNROLLED = 16


class Feedback(NamedTuple):
    """What codes lost: `worker` is `[n]`, `server` is `[n / N]`; None where unused."""

    worker: jax.Array | None
    server: jax.Array | None


def allreduce(
    *, axis: str, size: int, codec: Codec, route: Route | None = None
) -> Mixer:
    """Returns the mean over a mesh axis, for use inside `shard_map`.

    Args:
        axis: Name of a mesh axis that is manual where the mixer runs.
        size: Number of members along the axis.
        codec: Form of the values on the wire.
        route: How the mean travels; as `way` chooses where not given.
    """
    route = route or way(size=size, codec=codec, shapes=(), dtype="f32").route
    if route == "sum":
        return _summed(axis, size)
    chunks = size if route == "two_phase" else 1

    def lay(values: Tree) -> Bucket:
        return bucket_of(shapes_of(values), block=codec.block, chunks=chunks)

    def init(values: Tree) -> Feedback:
        if not codec.feedback:
            return Feedback(None, None)
        bucket, dtype = lay(values), jax.tree.leaves(values)[0].dtype
        worker = jnp.zeros(bucket.elements, dtype)
        two = route == "two_phase"
        server = jnp.zeros(bucket.elements // size, dtype) if two else None
        return Feedback(worker, server)

    def mean(values: Tree, state: Feedback) -> tuple[Tree, Feedback]:
        bucket = lay(values)
        payload, worker = _encode(pack(values, bucket), state.worker, codec)
        dtype = jax.tree.leaves(values)[0].dtype
        if route == "gather":
            vector = _gathered(payload, axis, size, codec, dtype)
            return unpack(vector, bucket, values), Feedback(worker, None)
        vector, server = _two_phases(payload, state.server, axis, size, codec, dtype)
        return unpack(vector, bucket, values), Feedback(worker, server)

    return Mixer(init, mean, equations=_equations(codec, route, axis))


def way(
    *, size: int, codec: Codec, shapes: tuple[tuple[int, ...], ...], dtype: str
) -> Way:
    """Returns how the mean of leaves of these shapes travels, with its messages.

    Args:
        size: Number of members along the axis.
        codec: Form of the values on the wire.
        shapes: Shapes of the leaves on one device.
        dtype: HLO element type of the leaves.
    """
    if codec.is_exact:
        elements = bucket_of(shapes, block=1).elements
        one = (Message("all-reduce", dtype, elements),) if size > 1 else ()
        return Way("sum", "values add up on the way", one)
    if size <= 2:
        reason = "two members: as few bytes as two phases, one rounding less"
        reason = reason if size == 2 else "one member: nothing crosses"
        elements = bucket_of(shapes, block=codec.block).elements
        sent = codec.payload(elements) if size > 1 else ()
        return Way("gather", reason, tuple(Message("all-gather", *w) for w in sent))
    elements = bucket_of(shapes, block=codec.block, chunks=size).elements
    reason = f"codes do not add up; two phases send 2/{size} of what a gather sends"
    out = tuple(Message("all-to-all", *sent) for sent in codec.payload(elements))
    back = codec.payload(elements // size)
    return Way("two_phase", reason, (*out, *(Message("all-gather", *w) for w in back)))


def _summed(axis: str, size: int) -> Mixer:
    def mean(values: Tree, state: tuple[()]) -> tuple[Tree, tuple[()]]:
        shares = jax.tree.map(lambda leaf: leaf * (1 / size), values)
        return jax.lax.psum(shares, axis), state

    equations = (f"{{y}} = mean over {axis} of {{x}}",)
    return Mixer(lambda values: (), mean, equations=equations)


def _encode(
    vector: jax.Array, lost: jax.Array | None, codec: Codec
) -> tuple[Any, jax.Array | None]:
    if lost is None:
        return codec.encode(vector), None
    wanted = vector + lost
    payload = codec.encode(wanted)
    return payload, wanted - codec.decode(payload, vector.dtype)


def _gathered(
    payload: Any, axis: str, size: int, codec: Codec, dtype: Any
) -> jax.Array:
    everyone = jax.tree.map(lambda part: jax.lax.all_gather(part, axis), payload)
    return _mean_of_decoded(everyone, size, codec, dtype)


def _two_phases(
    payload: Any,
    lost: jax.Array | None,
    axis: str,
    size: int,
    codec: Codec,
    dtype: Any,
) -> tuple[jax.Array, jax.Array | None]:
    def spread(part: jax.Array) -> Any:
        return jax.lax.all_to_all(part.reshape(size, -1), axis, 0, 0)

    mine = jax.tree.map(spread, payload)
    answer, server = _encode(_mean_of_decoded(mine, size, codec, dtype), lost, codec)

    def join(part: jax.Array) -> Any:
        return jax.lax.all_gather(part, axis, tiled=True)

    return codec.decode(jax.tree.map(join, answer), dtype), server


def _mean_of_decoded(payloads: Any, size: int, codec: Codec, dtype: Any) -> jax.Array:
    """Decodes and adds in the order of the members; the last bit is well defined."""

    def add(total: jax.Array, payload: Any) -> tuple[jax.Array, None]:
        return total + codec.decode(payload, dtype), None

    first = codec.decode(jax.tree.map(lambda part: part[0], payloads), dtype)
    others = jax.tree.map(lambda part: part[1:], payloads)
    total, _ = jax.lax.scan(add, first, others, unroll=min(size, MOST_UNROLLED))
    return total * (1 / size)


def _equations(codec: Codec, route: Route, axis: str) -> tuple[str, ...]:
    sent = "{x} + e" if codec.feedback else "{x}"
    lines = [codec.equation]
    if route == "gather":
        lines.append(f"{{y}} = mean over {axis} of C({sent})")
    else:
        chunk = f"mean over {axis} of C({sent})"
        lines.append(f"m = {chunk}{' + s' if codec.feedback else ''}, by chunks")
        lines.append("{y} = C(m)")
    if codec.feedback:
        lines.append(f"e <- {{x}} + e - C({sent})")
        if route == "two_phase":
            lines.append("s <- m - C(m)")
    return tuple(lines)
