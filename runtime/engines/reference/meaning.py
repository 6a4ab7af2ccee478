"""Which schemes have a meaning here; everything else is refused.

The tables say which choices of an axis go together.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Average,
    Cast,
    Dgc,
    Elastic,
    Ensemble,
    Expert,
    Gossip,
    Gradiveq,
    Hogwild,
    Int4,
    Int8,
    Local,
    NoCompression,
    OneBit,
    ParameterServer,
    Pipeline,
    Pipelined,
    PowerSgd,
    Qsgd,
    RandomK,
    Replicas,
    Scheme,
    Sequence,
    Sign,
    StaleSynchronous,
    Synchronous,
    Ternary,
    TopK,
    phases_of,
)
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis

VERSIONED = Asynchronous | Hogwild
DISPLACEMENTS = Local | Elastic
GRADIENTS = Synchronous | Pipelined | StaleSynchronous | VERSIONED
VECTORS = NoCompression | Cast | Int8 | Int4 | Qsgd | Sign
ADDED_UP = NoCompression | RandomK | PowerSgd | Gradiveq
OWN_MEAN = Ternary | TopK | RandomK | Dgc | PowerSgd | Gradiveq | OneBit
LOOSE = StaleSynchronous | DISPLACEMENTS


def check_axes(scheme: Scheme) -> None:
    """Refuses axes that hold no replicas and cut nothing up, or do not go together.

    Raises:
        ValueError: If there is something else.
    """
    cut = {parallel.axis for parallel in scheme.parallelism}
    apart = [p.axis for p in scheme.parallelism if isinstance(p.strategy, Ensemble)]
    copied = {block.axis for block in scheme.replicas} | set(apart)
    named = cut | copied
    known = {axis.name for axis in scheme.mesh}
    alone = [axis.name for axis in scheme.mesh if axis.size > 1]
    strategies = [each.strategy for each in scheme.parallelism]
    kinds = [type(each) for each in strategies]
    mixed = Expert in kinds and {Sequence, Pipeline} & set(kinds)
    _refuse(sorted(map(str, mixed or ())), "`expert` beside these")
    _refuse([k for k in kinds if kinds.count(k) > 1], "one strategy over two axes")
    _refuse(sorted(named - known), "roles of axes off the mesh")
    _refuse([name for name in alone if name not in named], "axes without a role")
    order = [a.name in copied for a in scheme.mesh if a.name in named]
    inside = order != sorted(order, reverse=True)
    _refuse(["replicas"] if inside else [], "axes inside those of one copy")
    outside = [a.name for a in scheme.mesh[:1] if apart and a.name not in apart]
    _refuse(outside, "axes outside an ensemble")
    doubled = [block.redundancy for block in scheme.replicas if block.redundancy]
    _refuse(doubled, "redundancy")


def check_clauses(scheme: Scheme, axes: tuple[ReplicaAxis, ...]) -> None:
    """Refuses choices of an axis, or of several axes, that do not go together.

    Raises:
        ValueError: If there are some.
    """
    for axis in axes:
        for clause in axis.clauses:
            if isinstance(clause.consistency, Ensemble):
                continue
            _refuse(list(_clashes(axis, clause)), f"this over `{axis.name}`")
    _refuse(list(_clashes_between(axes)), "these axes together")
    for block in scheme.replicas:
        _refuse(list(_misplaced(block)), f"this schedule over `{block.axis}`")
    one_bit = [a for a in axes for c in a.clauses if isinstance(c.compression, OneBit)]
    _refuse([a.name for a in one_bit if a.decay is None], "`onebit` without Adam")


def is_streaming(rule: Any) -> bool:
    """Says whether a rule sends and merges the model in parts, or late, or by shares.

    Example:
        >>> is_streaming(Local(4)), is_streaming(Local(4, delay=1))
        (False, True)
    """
    if not isinstance(rule, Local):
        return False
    return rule.fragments > 1 or rule.delay > 0 or rule.merge > 0


def _clashes(axis: ReplicaAxis, clause: Clause) -> Iterator[Any]:
    who, rule, codec = clause.centralization, clause.consistency, clause.compression
    row = next((test for kind, test in WHO if isinstance(who, kind)), None)
    if row is None or not row(axis.size, who, rule, codec):
        yield (who, rule, codec)
    if isinstance(rule, Local) and not _is_laid_out(rule):
        yield rule


def _allreduce(size: int, who: AllReduce, rule: Any, codec: Any) -> bool:
    if who.reduce == "adasum":
        rules = isinstance(rule, Synchronous | Local)
        return rules and codec == NoCompression() and _is_power_of_two(size)
    if who.reduce == "majority":
        votes = isinstance(codec, Sign) and not codec.feedback
        return votes and isinstance(rule, Synchronous)
    if who.algorithm == "tree" and not _is_power_of_two(size):
        return False
    if who.algorithm in ("ring", "tree") and not isinstance(codec, ADDED_UP):
        return False
    if isinstance(codec, OneBit):
        return isinstance(rule, Synchronous)
    if isinstance(rule, DISPLACEMENTS):
        return isinstance(codec, VECTORS | OWN_MEAN) and not isinstance(codec, Dgc)
    return isinstance(rule, GRADIENTS) and isinstance(codec, VECTORS | OWN_MEAN)


def _parameter_server(size: int, who: ParameterServer, rule: Any, codec: Any) -> bool:
    rules = isinstance(rule, Synchronous | Pipelined | VERSIONED)
    return rules and isinstance(codec, VECTORS) and who.backup < size


def _gossip(size: int, who: Gossip, rule: Any, codec: Any) -> bool:
    plain = isinstance(rule, Local) and rule == Local(rule.every, Average())
    forgets = not getattr(codec, "feedback", False)
    codecs = isinstance(codec, NoCompression | Cast | Int8 | Int4 | Qsgd) and forgets
    return (plain or isinstance(rule, Synchronous)) and codecs and _connects(size, who)


WHO: tuple[tuple[type, Callable[[int, Any, Any, Any], bool]], ...] = (
    (AllReduce, _allreduce),
    (ParameterServer, _parameter_server),
    (Gossip, _gossip),
)


def _connects(size: int, who: Gossip) -> bool:
    if who.topology == "hypercube":
        return _is_power_of_two(size)
    if who.topology == "pairs":
        return size == 1 or size % 2 == 0
    return who.topology != "chain" or who.push_sum


def _is_laid_out(rule: Local) -> bool:
    if not is_streaming(rule):
        return True
    divides = rule.every % rule.fragments == 0
    return (
        divides and rule.delay < rule.every // rule.fragments and rule.state == "keep"
    )


def _is_power_of_two(size: int) -> bool:
    return size & (size - 1) == 0


def _clashes_between(axes: tuple[ReplicaAxis, ...]) -> Iterator[Any]:
    with_versions = [a.name for a in axes if _any(a, lambda c: _has(c, VERSIONED))]
    if len(with_versions) > 1:
        yield with_versions
    loose = [a.name for a in axes if _any(a, _is_loose)]
    streams = any(is_streaming(rule) for axis in axes for rule in axis.rules)
    if streams and len(loose) > 1:
        yield loose
    for place, axis in enumerate(axes):
        outside = [a.name for a in axes[:place] if _any(a, exchanges_gradients)]
        if outside and _any(axis, _is_served):
            yield (*outside, axis.name)


def _any(axis: ReplicaAxis, claim: Callable[[Clause], bool]) -> bool:
    return any(claim(clause) for clause in axis.clauses)


def _has(clause: Clause, rules: Any) -> bool:
    return isinstance(clause.consistency, rules)


def _is_loose(clause: Clause) -> bool:
    return isinstance(clause.centralization, Gossip) or _has(clause, LOOSE)


def _is_served(clause: Clause) -> bool:
    return isinstance(clause.centralization, ParameterServer)


def exchanges_gradients(clause: Clause) -> bool:
    """Says whether gradients cross an axis, and not parameters or ways."""
    return _has(clause, GRADIENTS) and not isinstance(clause.centralization, Gossip)


def _misplaced(block: Replicas) -> Iterator[Any]:
    for rules in (phases_of(block.consistency), phases_of(block.centralization)):
        for phase in rules[:-1]:
            if isinstance(phase.value, StaleSynchronous | Elastic | Gossip):
                yield phase.value
    for codec in phases_of(block.compression)[1:]:
        if isinstance(codec.value, OneBit):
            yield codec.value


def _refuse(found: Iterable[Any], what: str) -> None:
    if found:
        raise ValueError(f"no meaning is written down for {what}: {found}")
