"""What rules and codecs remember, from the reference's form to the program's.

A row a state of the program: its type -> (what the reference keeps of one member, the
place) -> the state, of NumPy arrays.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from diamond.compiler.exchange.centralization.gossip import GossipState, PushSum
from diamond.compiler.exchange.centralization.parameter_server import ServerState
from diamond.compiler.exchange.coded import Feedback
from diamond.compiler.exchange.compression.dgc import DgcState
from diamond.compiler.exchange.compression.gradiveq import Basis, GradiveqState
from diamond.compiler.exchange.compression.onebit import OneBitState
from diamond.compiler.exchange.compression.powersgd import PowerSgdState
from diamond.compiler.exchange.compression.randomk import RandomKState
from diamond.compiler.exchange.compression.ternary import TernaryState
from diamond.compiler.exchange.compression.topk import TopKState
from diamond.compiler.exchange.consistency.elastic import ElasticState
from diamond.compiler.exchange.consistency.local import LocalState
from diamond.compiler.exchange.consistency.pipelined import Queue
from diamond.compiler.exchange.consistency.stale_synchronous import Pending
from diamond.compiler.exchange.consistency.streaming import StreamingState
from diamond.compiler.exchange.dense import Speeds
from diamond.compiler.exchange.versions import Versions


class Place(NamedTuple):
    """What a conversion may know.

    Attributes:
        fresh: The program's first state, as shapes.
        step: Steps done.
        clause: The reference's clause.
        memory_ends: The step after its memory's last one, if that ends.
        rule_ends: The step after its rule's last one, if that ends.
        fragment: Number of the fragment.
        values: The member's parameters, the part's leaves.
        cut: A flat vector of all parameters -> the part's leaves.
        shard: Leaves -> the member's shard, where there is a server.
        pushed: What push-sum keeps.
    """

    fresh: Any
    step: int
    clause: Any
    memory_ends: list[int]
    rule_ends: list[int]
    fragment: int
    values: list[Any]
    cut: Callable[[Any], list[Any]]
    shard: Callable[[list[Any]], Any]
    pushed: Any = None

    @property
    def clock(self) -> int:
        """Steps since the rule began."""
        until = min([self.step, *self.rule_ends])
        return max(0, until - self.clause.rule_start)

    @property
    def uses(self) -> int:
        """Exchanges so far since the memory began."""
        until = min([self.step, *self.memory_ends])
        if until <= self.clause.memory_start:
            return 0
        return int(self.clause.count(until, self.fragment))


def _outer(fresh: Any, kept: Any, place: Place) -> Any:
    return fresh if fresh == () else type(fresh)(place.cut(kept.momentum))


def _local(kept: Any, place: Place) -> LocalState:
    if place.fresh.anchor is None:
        return LocalState(None, ())
    outer = _outer(place.fresh.outer, kept, place)
    return LocalState(place.cut(kept.anchor), outer)


def _streaming(kept: Any, place: Place) -> StreamingState:
    moved = None if place.fresh.moved is None else place.cut(kept.sent)
    outer = _outer(place.fresh.outer, kept, place)
    return StreamingState(place.cut(kept.anchor), moved, outer)


def _queue(kept: Any, place: Place) -> Queue:
    def laid(mean: Any, like: Any) -> Any:
        leaves = place.cut(mean)
        is_sharded = len(like) == 1 and len(leaves) > 1
        return [place.shard(leaves)] if is_sharded else leaves

    pairs = zip(kept.means, place.fresh.means, strict=True)
    return Queue(tuple(laid(mean, like) for mean, like in pairs))


def _pending(kept: Any, place: Place) -> Pending:
    gradients = place.cut(kept.pending)
    return Pending(np.int32(place.clock), np.asarray(kept.wait), gradients)


def _versions(kept: Any, place: Place) -> Versions:
    """Lays the past out in the program's ring: the newest just before the clock."""
    if place.fresh.past is None:
        return Versions(np.int32(place.clock), None)
    depth = len(kept.past)
    rows: list[Any] = [None] * depth
    for age, version in enumerate(kept.past):
        rows[(place.clock - 1 - age) % depth] = place.cut(version)
    stacked = [np.stack(column) for column in zip(*rows, strict=True)]
    return Versions(np.int32(place.clock), stacked)


def _elastic(kept: Any, place: Place) -> ElasticState:
    fresh = place.fresh.is_left
    return ElasticState(
        place.cut(kept.centre), None if fresh is None else np.asarray(kept.is_old)
    )


def _feedback(kept: Any, place: Place) -> Feedback:
    fresh = place.fresh
    return Feedback(
        worker=None if fresh.worker is None else _fitted(kept.worker, fresh.worker),
        server=None if fresh.server is None else _fitted(kept.server, fresh.server),
        uses=None if fresh.uses is None else np.uint32(place.uses),
    )


def _fitted(vector: Any, like: Any) -> Any:
    """Pads a vector with zeros to the length of another."""
    return np.pad(vector, (0, like.size - vector.size))


def _server(kept: Any, place: Place) -> ServerState:
    fresh = place.fresh
    held = [None if w is None else _fitted(kept.worker, w) for w in fresh.worker]
    uses = None if fresh.uses is None else np.uint32(place.uses)
    return ServerState(tuple(held), uses)


def _gossip(kept: Any, place: Place) -> GossipState:
    fresh, pushed = place.fresh, place.pushed
    uses = None if fresh.uses is None else np.uint32(place.uses)
    if fresh.push is None:
        return GossipState(uses, None)
    numerators = place.cut(pushed.numerator)
    return GossipState(uses, PushSum(numerators, np.asarray(pushed.weight)))


def _errors(kept: Any, fresh: Any) -> Any:
    if fresh is None:
        return None
    return [None if each is None else each.error for each in kept]


def _topk(kept: Any, place: Place) -> TopKState:
    return TopKState(_errors(kept, place.fresh.lost))


def _randomk(kept: Any, place: Place) -> RandomKState:
    lost = _errors(kept, place.fresh.lost)
    return RandomKState(lost, np.uint32(place.uses))


def _dgc(kept: Any, place: Place) -> DgcState:
    like = place.fresh.momentum
    coded = [
        (None, None) if leaf is None else (each.momentum, each.total)
        for each, leaf in zip(kept, like, strict=True)
    ]
    return DgcState(*map(list, zip(*coded, strict=True)))


def _speeds(kept: Any, place: Place) -> Speeds:
    fresh = place.fresh
    pairs = zip(kept, fresh.dense, strict=True)
    dense = [None if leaf is None else each.momentum for each, leaf in pairs]
    inner = place._replace(fresh=fresh.coded)
    return Speeds(dense, CODECS[type(fresh.coded)](kept, inner))


def _powersgd(kept: Any, place: Place) -> PowerSgdState:
    right = [None if each is None else each.q for each in kept]
    return PowerSgdState(right, _errors(kept, place.fresh.lost))


def _gradiveq(kept: Any, place: Place) -> GradiveqState:
    bases = [None if each is None else Basis(each.basis, each.mean) for each in kept]
    return GradiveqState(bases, _errors(kept, place.fresh.lost))


def _ternary(kept: Any, place: Place) -> TernaryState:
    del kept
    return TernaryState(np.uint32(place.uses))


def _onebit(kept: Any, place: Place) -> OneBitState:
    fresh, coded = place.fresh, iter(kept.momentum)
    momentum = [None if leaf is None else next(coded) for leaf in fresh.momentum]
    lost = _feedback(kept.residual, place._replace(fresh=fresh.lost))
    return OneBitState(momentum, lost)


def _nothing(kept: Any, place: Place) -> tuple[()]:
    del kept, place
    return ()


RULES: dict[type, Callable[[Any, Place], Any]] = {
    tuple: _nothing,
    LocalState: _local,
    StreamingState: _streaming,
    Queue: _queue,
    Pending: _pending,
    Versions: _versions,
    ElasticState: _elastic,
}
CODECS: dict[type, Callable[[Any, Place], Any]] = {
    tuple: _nothing,
    Feedback: _feedback,
    ServerState: _server,
    GossipState: _gossip,
    TopKState: _topk,
    RandomKState: _randomk,
    DgcState: _dgc,
    Speeds: _speeds,
    PowerSgdState: _powersgd,
    GradiveqState: _gradiveq,
    TernaryState: _ternary,
    OneBitState: _onebit,
}
