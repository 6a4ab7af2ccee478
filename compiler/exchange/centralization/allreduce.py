"""All-reduce: every copy gets the mean over all copies of an axis of N members.

    y = (1/N) sum_i v_i

in the form of a compressor, which brings its own route along. The algorithm says how
sums travel: `auto` leaves it to XLA; `ring` and `tree` go from hop to hop, for
compressors that do nothing but add; `two_phase` makes each member the server of a
chunk.

Bill, for n bytes: auto, ring and two phases 2n(N-1)/N; tree n log2 N. Two members
gather each other's codes under any algorithm: as many bytes, and one rounding less.
Limits: N = 1 is the identity, up to the code's rounding; the algorithms differ in
rounding only.

References: P. Patarasuk, X. Yuan, Bandwidth Optimal All-reduce Algorithms for Clusters
of Workstations, JPDC 2009 (ring); R. Thakur, R. Rabenseifner, W. Gropp, Optimization of
Collective Communication Operations in MPICH, IJHPCA 2005 (tree, two phases).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

from diamond.compiler.exchange.bucket import bucket_of, pack, shapes_of, unpack
from diamond.compiler.exchange.centralization.ring import ring_sum
from diamond.compiler.exchange.centralization.tree import levels_of, tree_sum
from diamond.compiler.exchange.centralization.two_phase import two_phase_sum
from diamond.compiler.exchange.contract import Compressor, Leaves, Mixer, State, Tree
from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Route

Algorithm = Literal["auto", "ring", "tree", "two_phase"]


class _Sum(NamedTuple):
    """How a vector is added up over a wire, and whether it is cut into N chunks."""

    of: Callable[[jax.Array, Wire], jax.Array]
    cuts: bool
    route: Route


_SUMS = {
    "ring": _Sum(ring_sum, cuts=True, route="ring"),
    "tree": _Sum(tree_sum, cuts=False, route="tree"),
    "two_phase": _Sum(two_phase_sum, cuts=True, route="two_phase"),
}


def allreduce(
    *, wire: Wire, compressor: Compressor, algorithm: Algorithm = "auto"
) -> Mixer:
    """Returns the mean over a mesh axis, for use inside `shard_map`.

    Args:
        wire: The axis.
        compressor: Form of the mean.
        algorithm: How the sums of the compressor travel.

    Raises:
        ValueError: If there is no tree over so many members.

    Example:
        >>> from diamond.compiler.exchange.coded import coded
        >>> from diamond.compiler.exchange.compression.none import none
        >>> from diamond.compiler.exchange.wire import mesh_wire
        >>> wire = mesh_wire("host", 4)
        >>> allreduce(wire=wire, compressor=coded(none(), 4), algorithm="ring").route
        'ring'
    """
    if algorithm == "tree":
        list(levels_of(wire.size, "algorithm = tree"))
    spelt = _spelt(wire, algorithm)

    def mean(values: Leaves, state: State, turn: int) -> tuple[Leaves, State]:
        return compressor.mean(values, state, spelt, turn)

    over = f"mean over {wire.axis} of"
    route, reason = compressor.route, compressor.reason
    if spelt is not wire and route == "sum":
        route, reason = _SUMS[algorithm].route, "as the scheme says"
    return Mixer(
        init=compressor.init,
        mean=mean,
        equations=tuple(e.replace("mean of", over) for e in compressor.equations),
        route=route,
        reason=reason,
        turns=compressor.turns,
        settle=compressor.settle,
    )


def _spelt(wire: Wire, algorithm: Algorithm) -> Wire:
    """Returns a wire whose sums travel by an algorithm."""
    if algorithm == "auto" or wire.size == 1:
        return wire
    how = _SUMS[algorithm]
    return wire._replace(sum=lambda tree: _by_vectors(tree, how, wire))


def _by_vectors(tree: Tree, how: _Sum, wire: Wire) -> Tree:
    """Adds up a tree's leaves as one vector an element type."""
    leaves, kind = jax.tree.flatten(tree)
    added: list[Any] = list(leaves)
    for dtype in dict.fromkeys(leaf.dtype for leaf in leaves):
        places = [place for place, leaf in enumerate(leaves) if leaf.dtype == dtype]
        alike = [leaves[place] for place in places]
        bucket = bucket_of(
            shapes_of(alike), block=1, chunks=wire.size if how.cuts else 1
        )
        if bucket.elements:
            alike = unpack(how.of(pack(alike, bucket), wire), bucket, alike)
        for place, leaf in zip(places, alike, strict=True):
            added[place] = leaf
    return jax.tree.unflatten(kind, added)
