"""Streaming: local steps whose meetings are spread out, fragment by fragment.

    each fragment, every H steps in its own turn:
                          d = mean of (a - x_i)
    `delay` steps later:  a <- outer(a, d)
                          x_i <- merge x_i + (1 - merge) a

with the anchor a: the outer parameters of the fragment, which all copies agree on,
and which the copies themselves need not reach. The fragments' turns lie H/P steps
apart; a mean that is used later has the steps between to cross the mesh.

Bill: as for `local`, but at most 1/P of it in a step; one copy of the parameters for
a, one for d where there is a delay, and what the outer step holds.
Limits: one fragment, no delay and no merging is `local`; `merge = 1` never moves a
copy.
Traps: there is no step at which the copies are equal as a whole.

References: A. Douillard et al., Streaming DiLoCo with overlapping communication, arXiv
2501.18512, 2025. Its fragments are strided layers, as here; it advises a delay of
5 steps or fewer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Flight, Leaves, Outer, Rule, State
from diamond.compiler.exchange.symbols import weighted


class StreamingState(NamedTuple):
    """Of one fragment.

    Attributes:
        anchor: Like the fragment, its outer parameters.
        moved: Like the fragment, the mean that has not landed; None without delay.
        outer: The outer step's own.
    """

    anchor: Leaves
    moved: Leaves | None
    outer: State


def streaming(*, every: int, outer: Outer, delay: int = 0, merge: float = 0.0) -> Rule:
    """Returns the rule of one fragment of a model that is exchanged in parts.

    Args:
        every: Steps between two exchanges of the fragment.
        outer: What becomes of the anchor when the copies meet.
        delay: Steps from sending to merging.
        merge: Share of the local value kept at merging, in 0 .. 1.

    Example:
        >>> from diamond.compiler.exchange.outer.average import average
        >>> rule = streaming(every=4, outer=average(), merge=0.5)
        >>> rule.accept([1.0], [2.0], [], StreamingState([4.0], None, ()))
        ([1.5], StreamingState(anchor=[2.0], moved=None, outer=()))
    """

    def init(params: Leaves, mean: Leaves) -> StreamingState:
        moved = jax.tree.map(jnp.zeros_like, params) if delay else None
        anchor = jax.tree.map(jnp.copy, params)
        return StreamingState(anchor, moved, outer.init(params))

    def offer(params: Leaves, x: Leaves, state: StreamingState) -> Leaves:
        moved: Leaves = jax.tree.map(lambda a, x: a - x, state.anchor, params)
        return moved

    def merged(
        params: Leaves, moved: Leaves, state: StreamingState
    ) -> tuple[Leaves, StreamingState]:
        anchor, inner = outer.step(state.anchor, moved, state.outer)
        mixed = jax.tree.map(lambda x, a: merge * x + (1 - merge) * a, params, anchor)
        return (mixed if merge else anchor), state._replace(anchor=anchor, outer=inner)

    def accept(
        params: Leaves, mean: Leaves, x: Leaves, state: StreamingState
    ) -> tuple[Leaves, StreamingState]:
        if delay:
            return params, state._replace(moved=mean)
        return merged(params, mean, state)

    def lift(state: StreamingState) -> tuple[tuple[Leaves, ...], StreamingState]:
        assert state.moved is not None
        return (state.moved,), state._replace(moved=None)

    def put(means: tuple[Leaves, ...], state: StreamingState) -> StreamingState:
        return state._replace(moved=means[0])

    return Rule(
        subject="parameters",
        every=every,
        init=init,
        offer=offer,
        accept=accept,
        equations=_equations(outer, delay, merge),
        begin=lambda params, state: state._replace(anchor=params),
        flight=Flight(lift, put, merged) if delay else None,
        late=delay,
    )


def _equations(outer: Outer, delay: int, merge: float) -> tuple[str, ...]:
    when = "the next step" if delay == 1 else f"{delay} steps later"
    lands = (f"{when}, with this d:",) if delay else ()
    steps = tuple(line.replace("x <-", "a <-") for line in outer.equations)
    mixed = weighted((merge, "x"), (1 - merge, "a"))
    return ("d = mean[a - x]", *lands, *steps, f"x <- {mixed}")
