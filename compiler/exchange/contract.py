"""What an exchange is made of: a codec, a mixer and a rule.

A *codec* (compression) turns a vector into a payload and back. A *mixer*
(centralization) turns everyone's values into their mean, in the codec's form. A
*rule* (consistency) says which values, and what becomes of the mean. Each algorithm
is one file with one factory that returns one of these.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from diamond.compiler.plan import Message, Route, Subject

Tree = Any
State = Any
Payload = Any


class Codec(NamedTuple):
    """A form for vectors on the wire.

    Attributes:
        encode: `[n]` -> a pytree of arrays whose first dims divide as n does.
        decode: (payload, element type) -> `[n]`.
        payload: n -> (HLO element type, elements) of each array of the payload.
        block: n must be a multiple of it; blocks are coded independently.
        feedback: Whether what the code lost is kept and added the next time.
        is_exact: Whether decode(encode(x)) is x.
        equation: The code in symbols.
    """

    encode: Callable[[jax.Array], Payload]
    decode: Callable[[Payload, Any], jax.Array]
    payload: Callable[[int], tuple[tuple[str, int], ...]]
    block: int
    feedback: bool
    is_exact: bool
    equation: str


class Mixer(NamedTuple):
    """A mean over an axis.

    Attributes:
        init: Values' tree -> the mixer's state on one device.
        mean: (values, state) -> (their mean over the axis, state).
        equations: The mean `{y}` of `{x}` in symbols.
    """

    init: Callable[[Tree], State]
    mean: Callable[[Tree, State], tuple[Tree, State]]
    equations: tuple[str, ...]


class Rule(NamedTuple):
    """What is exchanged, and what becomes of it.

    Attributes:
        subject: What is exchanged: gradients or parameters.
        every: Steps from one exchange to the next.
        init: Parameters -> the rule's state on one device.
        offer: (values, state) -> what this copy puts into the mean.
        accept: (values, mean, state) -> (values, state).
        rebase: (parameters, state) -> state, once the copies have met.
        equations: The rule in symbols; the mean is written `mean[...]`.
    """

    subject: Subject
    every: int
    init: Callable[[Tree], State]
    offer: Callable[[Tree, State], Tree]
    accept: Callable[[Tree, Tree, State], tuple[Tree, State]]
    rebase: Callable[[Tree, State], State]
    equations: tuple[str, ...]


class Outer(NamedTuple):
    """An outer optimizer: takes the anchor one step against a displacement.

    Attributes:
        init: Parameters -> the outer optimizer's state.
        step: (anchor, displacement, state) -> (parameters, state); the displacement
            is the anchor minus the copies' mean, so the step descends.
        is_mean: Whether the step lands on the copies' mean.
        equations: The step in symbols, from `a` and `d`.
    """

    init: Callable[[Tree], State]
    step: Callable[[Tree, Tree, State], tuple[Tree, State]]
    is_mean: bool
    equations: tuple[str, ...]


class Way(NamedTuple):
    """How a mean travels: the route, why, and its messages on one device."""

    route: Route
    reason: str
    messages: tuple[Message, ...]
