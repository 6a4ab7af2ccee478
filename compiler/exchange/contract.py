"""What an exchange is made of: codec or compressor, mixer, rule, outer step.

A *codec* turns a vector into a payload and back, block by block. A *compressor* forms a
mean in a form of its own; the library makes one of every codec (`coded`). A *mixer*
(centralization) says who talks to whom. A *rule* (consistency) says which values are
put in, and what becomes of the mean. Each algorithm is one file with one factory that
returns one of these.

Values are lists of leaves, with None for the leaves that somebody else takes care of.
Some algorithms take turns (a gossip that has another partner at each exchange): a turn
is a number that is known when the program is traced.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax

from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import Route, Subject

Tree = Any
State = Any
Payload = Any
Leaves = list[Any]
Shape = tuple[int, ...]
Keeping = Literal["keep", "average", "reset"]


def skips_none(shape: Shape) -> str:
    """Skips no leaf."""
    del shape
    return ""


def skips_vectors(shape: Shape) -> str:
    """Skips leaves with fewer than two dims: few values, and sensitive ones."""
    return "vectors" if len(shape) < 2 else ""


def skips_small(block: int) -> Callable[[Shape], str]:
    """Returns what skips vectors, and leaves that do not fill a block.

    Example:
        >>> skips_small(8)((3, 3)), skips_small(8)((2, 3)), skips_small(8)((99,))
        ('', 'smaller than a block of 8', 'vectors')
    """

    def skips(shape: Shape) -> str:
        fills = math.prod(shape) >= block
        return skips_vectors(shape) or f"smaller than a block of {block}" * (not fills)

    return skips


class Codec(NamedTuple):
    """A form for vectors on the wire.

    Attributes:
        encode: (`[n]`, key) -> a pytree of arrays whose first dims divide as n does;
            the key, `uint32[]`, is for codecs that draw (see `noise`).
        decode: (payload, element type) -> `[n]`.
        block: n must be a multiple of it; blocks are coded independently.
        equation: The code in symbols.
        feedback: Whether what the code lost is kept and added the next time.
        is_exact: Whether decode(encode(x)) is x.
        draws: Whether the code depends on the key.
        skips: Shape -> what such leaves are, if they are better left to cross as they
            are; else "".
        rounded: (`[n]`, key) -> decode(encode(x)), where there is a way without the
            payload; of packed codes XLA would pack a byte anew for each value in it.
        within: Counts `int32[n / block]` -> the codec of vectors that have so many
            values in each block, and padding behind them, which are zeros before the
            code and after it; None where zeros make no difference.
    """

    encode: Callable[[jax.Array, jax.Array], Payload]
    decode: Callable[[Payload, Any], jax.Array]
    block: int
    equation: str
    feedback: bool = False
    is_exact: bool = False
    draws: bool = False
    skips: Callable[[Shape], str] = skips_none
    rounded: Callable[[jax.Array, jax.Array], jax.Array] | None = None
    within: Callable[[jax.Array], "Codec"] | None = None


class Compressor(NamedTuple):
    """A mean over an axis in a form of its own.

    Attributes:
        init: Leaves -> state on one device.
        mean: (leaves, state, wire, turn) -> (their mean, state).
        equations: The mean `{y}` of `{x}` in symbols.
        route: How the mean is formed.
        reason: Why so.
        skips: As a codec's.
        is_exact: Whether the mean loses nothing.
        turns: The turns of exchanges that follow one another, as a cycle.
        settle: (optimizer's state before, after the update) -> its state, for
            compressors that work inside the optimizer.
        dense_momentum: Momentum of the leaves that cross as they are, for compressors
            that give the others one.
    """

    init: Callable[[Leaves], State]
    mean: Callable[[Leaves, State, Wire, int], tuple[Leaves, State]]
    equations: tuple[str, ...]
    route: Route
    reason: str
    skips: Callable[[Shape], str] = skips_none
    is_exact: bool = False
    turns: tuple[int, ...] = (0,)
    settle: Callable[[Tree, Tree], Tree] | None = None
    dense_momentum: float = 0.0


def _stays(state: State) -> State:
    return state


def _as_it_was(values: Leaves, state: State) -> State:
    del values
    return state


class Server(NamedTuple):
    """Members that own shards of the parameters and the optimizer's state of them.

    The mixer's mean is then one leaf, this member's shard of the mean.

    Attributes:
        own: Leaves -> `[shard]`, this member's shard of equal copies.
        pull: (`[shard]`, leaves) -> leaves like those, from everyone's shards.
    """

    own: Callable[[Leaves], jax.Array]
    pull: Callable[[jax.Array, Leaves], Leaves]


class Mixer(NamedTuple):
    """What becomes of everyone's values: their mean, or that of some of them.

    Attributes:
        init: Leaves -> the mixer's state on one device.
        mean: (leaves, state, turn) -> (mean, state).
        equations: The mean `{y}` of `{x}` in symbols.
        route: How the mean is formed.
        reason: Why so.
        turns: The turns of exchanges that follow one another, as a cycle.
        begin: (leaves, state) -> state, where its phase begins.
        follow: (leaves, state) -> state, once an axis further out has moved them.
        settle: As a compressor's.
        server: Who owns what, where the optimizer is the server's.
    """

    init: Callable[[Leaves], State]
    mean: Callable[[Leaves, State, int], tuple[Leaves, State]]
    equations: tuple[str, ...]
    route: Route
    reason: str
    turns: tuple[int, ...] = (0,)
    begin: Callable[[Leaves, State], State] = _as_it_was
    follow: Callable[[Leaves, State], State] = _as_it_was
    settle: Callable[[Tree, Tree], Tree] | None = None
    server: Server | None = None


class Flight(NamedTuple):
    """Means on their way, of a rule that uses a mean later than it was formed.

    The first two move references and compute nothing, so that they work on means
    that some device has yet to form.

    Attributes:
        lift: State -> (the means on their way, the oldest first; the state without).
        put: (such means, state without them) -> state.
        use: (values, the oldest mean, state without) -> (values, state without).
    """

    lift: Callable[[State], tuple[tuple[Leaves, ...], State]]
    put: Callable[[tuple[Leaves, ...], State], State]
    use: Callable[[Leaves, Leaves, State], tuple[Leaves, State]]


class Rule(NamedTuple):
    """What is exchanged, and what becomes of it.

    `x` stands for the parameters at the beginning of the step.

    Attributes:
        subject: What is exchanged: gradients or parameters.
        every: Steps from one exchange to the next.
        init: (parameters, something like the mean) -> the rule's state on one device.
        offer: (values, x, state) -> what this copy puts into the mean.
        accept: (values, mean, x, state) -> (values, state).
        equations: The rule in symbols; the mean is written `mean[...]`.
        begin: (parameters, state) -> state, where its phase begins.
        rebase: (parameters, state) -> state, once all axes have met in a step.
        follow: State -> state, once an axis further out has moved the copies.
        view: (x, state) -> where the gradient is taken, if not at x.
        flight: The means on their way, where a mean is used later than it was formed.
        late: Steps from forming a mean to its landing, where it lands in a turn of its
            own and not when the next one is formed.
        is_shared: Whether the state is equal along the axis, for gradients.
        keeping: What happens to the optimizer's state when the copies meet.
    """

    subject: Subject
    every: int
    init: Callable[[Leaves, Leaves], State]
    offer: Callable[[Leaves, Leaves, State], Leaves]
    accept: Callable[[Leaves, Leaves, Leaves, State], tuple[Leaves, State]]
    equations: tuple[str, ...]
    begin: Callable[[Leaves, State], State] = _as_it_was
    rebase: Callable[[Leaves, State], State] = _as_it_was
    follow: Callable[[State], State] = _stays
    view: Callable[[Leaves, State], Leaves] | None = None
    flight: Flight | None = None
    late: int = 0
    is_shared: bool = True
    keeping: Keeping = "keep"


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
