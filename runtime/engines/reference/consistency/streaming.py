"""`local` with fragments = P, delay = D or merge = A: parts meet late and in turns.

Fragment p of the model (see `fragments`) is sent every H steps, H/P steps after the
one before it. At the end of such a step
    d_p = mean_i (a_p - x_i,p)
and D steps later, at once for D = 0,
    y_p   = the outer step from a_p by d_p, see `outer`
    a_p   <- y_p
    x_i,p <- A x_i,p + (1 - A) y_p
so that the anchor is the same for all copies, which agree only where A = 0 and D = 0.

Limits: P = 1, D = 0 and A = 0 are plain `local`.

Douillard et al., "Streaming DiLoCo with overlapping communication: towards a
distributed free lunch", arXiv 2501.18512, 2025.
"""

from diamond.dsl.vocabulary import Local
from diamond.runtime.engines.reference import exchange, replicas, vectors
from diamond.runtime.engines.reference.clauses import Clause, ReplicaAxis
from diamond.runtime.engines.reference.consistency.fragments import fragments
from diamond.runtime.engines.reference.consistency.local import Met
from diamond.runtime.engines.reference.consistency.outer import outer_step
from diamond.runtime.engines.reference.state import ReferenceState, Vector
from diamond.runtime.engines.reference.vectors import Places


def parameters(axis: ReplicaAxis, state: ReferenceState) -> ReferenceState:
    """Merges the fragment that has arrived, and sends the one whose turn it is."""
    clause = axis.at(state.step)
    rule: Local = clause.consistency
    for part, places in enumerate(fragments(state.params[0], rule.fragments)):
        if not places:
            continue
        if clause.is_due(state.step, part):
            state = _send(axis, state, part, places)
        if _arrives(clause, state.step, part):
            state = _merge(axis, state, places)
    return state


def _arrives(clause: Clause, step: int, part: int) -> bool:
    sent = step - clause.consistency.delay
    return sent >= clause.rule_start and clause.is_due(sent, part)


def _send(
    axis: ReplicaAxis, state: ReferenceState, part: int, places: Places
) -> ReferenceState:
    """Keeps d_p with each member until it is merged."""
    where = _where(state, places)
    memory, here = replicas.rule_memory(axis, state), replicas.positions(state)
    ways = [(m.anchor - x)[where] for m, x in zip(memory, here, strict=True)]
    ways, state = exchange.mean_over(axis, state, ways, part, places)
    kept = [
        held._replace(sent=_with(_sent(held), where, d))
        for held, d in zip(memory, ways, strict=True)
    ]
    return replicas.with_rule_memory(axis, state, kept)


def _merge(axis: ReplicaAxis, state: ReferenceState, places: Places) -> ReferenceState:
    rule, where = axis.at(state.step).consistency, _where(state, places)
    memory, here = list(replicas.rule_memory(axis, state)), replicas.positions(state)
    for i, (held, x) in enumerate(zip(memory, here, strict=True)):
        a, b, d = (v[where] for v in (held.anchor, held.momentum, _sent(held)))
        y, b = outer_step(rule.outer, axis.size, a, b, d)
        here[i] = _with(x, where, rule.merge * x[where] + (1 - rule.merge) * y)
        memory[i] = Met(
            anchor=_with(held.anchor, where, y),
            momentum=_with(held.momentum, where, b),
            sent=held.sent if rule.delay else None,
        )
    return replicas.moved(replicas.with_rule_memory(axis, state, memory), here)


def _sent(held: Met) -> Vector:
    return 0 * held.anchor if held.sent is None else held.sent


def _where(state: ReferenceState, places: Places) -> Vector:
    return vectors.coordinates(vectors.layout_of(state.params[0]), places)


def _with(vector: Vector, where: Vector, values: Vector) -> Vector:
    """Returns a vector with other values at some coordinates."""
    result = vector.copy()
    result[where] = values
    return result
