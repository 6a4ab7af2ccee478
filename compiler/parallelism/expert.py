"""Expert parallelism: feed-forward layers are mixtures, whose experts devices share.

Every device of the axis takes another share of the batch and holds E/N of the E experts
of each layer; all else is whole on each. With R the router, `[width, E]`, a token x

    p = softmax(x R)
    e_1 .. e_k  the experts of the k largest p, the first of equals
    w_j = p[e_j] / (p[e_1] + .. + p[e_k]), and w_1 = p[e_1] where k = 1
    y = sum over j of w_j expert[e_j](x)

crosses to its experts and back in two all-to-alls of `[E, C, width]`. Of T tokens that
are routed together an expert takes C = ceil(capacity k T/E), and T at most; a choice
that finds no room adds nothing, so that the token passes by on the residual. Choices
are seated in the order of tokens, and those of a token in theirs: what becomes of a
token never depends on a later one.

The loss has `balance` times the mean over the layers of

    E sum over e of f_e P_e     f_e: share of the choices that name e, room or not
                                P_e: mean of p[e]

which is 1 where the router is even. Tokens that a device takes at once, those of a
microbatch of its share, are routed together and balanced together. So what is computed
depends on how the batch is cut up, and not on who holds which expert. In an evaluation
each example is routed by itself: `dropped` is the share of its choices that found no
room, and the loss is without balance.

Losses are scaled by 1/N. The gradients of what is whole are summed over the axis; those
of an expert are sums already, through the transpose of the all-to-all. Inside a tensor
axis each expert is cut like any feed-forward layer, and each device of that axis sends
all tokens.

Bill: a block sends 4 all-to-alls of `E C width` values for each microbatch, two forward
and two back, about `capacity k T width` each; with `remat = full` the forward ones
twice. A step sums the gradients of all but the experts once.

Limits: with N = 1 it is the mixture on one device, and N devices compute what one does
with their shares as its microbatches. With `capacity = E/k` nothing is dropped, and y
is what all experts make of x, weighed by w.

References: Shazeer, Mirhoseini, Maziarz, Davis, Le, Hinton, Dean, "Outrageously large
neural networks: the sparsely-gated mixture-of-experts layer", arXiv 1701.06538, 2017;
Lepikhin et al., "GShard: scaling giant models with conditional computation and
automatic sharding", arXiv 2006.16668, 2020; Fedus, Zoph, Shazeer, "Switch transformers:
scaling to trillion parameter models with simple and efficient sparsity", arXiv
2101.03961, 2021. GShard seats all first choices before any second one, and sends a
token to its second by lot; we do neither. The balance loss is Switch's, with the k
choices of a token in place of its one.
"""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import custom_vjp

from diamond.compiler.parallelism.group import Group
from diamond.dsl.vocabulary.parallelism import Expert

EXPERT = "expert"


class ExpertGroup(Group):
    """The devices along an axis that hold some experts each, inside `shard_map`."""

    def send(self, seated: jax.Array) -> jax.Array:
        """Gives each expert its tokens: `[E, C, width]` -> `[E/N, N C, width]`."""
        return self.turn(seated, 0, 1)

    def give_back(self, made: jax.Array) -> jax.Array:
        """Gives each device its tokens back: `[E/N, N C, width]` -> `[E, C, width]`."""
        return self.turn(made, 1, 0)

    def sum_but(self, is_cut: Sequence[bool], leaves: Sequence[Any]) -> list[Any]:
        """Sums over the devices what is not cut, and leaves the rest."""
        pairs = zip(leaves, is_cut, strict=True)
        with jax.named_scope(self.scope):
            return [g if cut else jax.lax.psum(g, self.axis) for g, cut in pairs]


class Seats(NamedTuple):
    """Where the choices of T tokens sit, C at each of E experts.

    Attributes:
        seat_of: Seat of each choice, `int32[T, k]`; E C where it found no room.
        taken_by: Number of the choice that sits in each seat, `int32[E C]`, those of a
            token next to each other; T k where the seat is empty.
        capacity: C.
    """

    seat_of: jax.Array
    taken_by: jax.Array
    capacity: int

    @property
    def is_seated(self) -> jax.Array:
        """Whether each choice found room, `bool[T, k]`."""
        return self.seat_of < len(self.taken_by)

    def dispatch(self, tokens: jax.Array) -> jax.Array:
        """Seats tokens: `[T, width]` -> `[E, C, width]`, zeros where nobody sits."""
        rows = self.taken_by // self.seat_of.shape[1]
        seated = _moved(tokens, rows, self.seat_of)
        return seated.reshape(-1, self.capacity, seated.shape[1])

    def combine(self, made: jax.Array, weights: jax.Array) -> jax.Array:
        """Adds up what was made of each token's choices.

        Args:
            made: `[E, C, width]`.
            weights: `[T, k]`.
        """
        flat = made.reshape(-1, made.shape[2])
        found = _moved(flat, self.seat_of.reshape(-1), self.taken_by[:, None])
        return jnp.einsum("tk,tkw->tw", weights, found.reshape(*weights.shape, -1))


def capacity_of(term: Expert, tokens: int) -> int:
    """Returns how many of some tokens an expert takes.

    Example:
        >>> capacity_of(Expert(experts=4, top_k=2, capacity=1.25), tokens=16)
        10
    """
    room = Fraction(str(term.capacity)) * term.top_k * tokens / term.experts
    return min(tokens, math.ceil(room))


def seats_of(chosen: jax.Array, experts: int, capacity: int) -> Seats:
    """Seats choices in order, until an expert has no room.

    Args:
        chosen: Each token's experts, `int32[T, k]`.
        experts: E.
        capacity: C.

    Example:
        >>> seats = seats_of(jnp.array([[0], [1], [0], [0]]), experts=2, capacity=2)
        >>> seats.seat_of.ravel().tolist(), seats.taken_by.tolist()
        ([0, 2, 1, 4], [0, 2, 1, 4])
    """
    flat, none = chosen.reshape(-1), experts * capacity
    named = jax.nn.one_hot(flat, experts, dtype=jnp.int32)
    before = jnp.sum((jnp.cumsum(named, axis=0) - named) * named, axis=1)
    seats = jnp.where(before < capacity, flat * capacity + before, none)
    numbers = jnp.arange(len(flat), dtype=jnp.int32)
    empty = jnp.full(none, len(flat), jnp.int32)
    taken = empty.at[seats].set(numbers, mode="drop")
    return Seats(seats.reshape(chosen.shape), taken, capacity)


def imbalance(probabilities: jax.Array, chosen: jax.Array) -> jax.Array:
    """Returns E times the sum of f_e P_e: 1 where the router is even.

    Args:
        probabilities: `[T, E]`.
        chosen: Each token's experts, `int32[T, k]`.

    Example:
        >>> even = jnp.full((4, 2), 0.5)
        >>> float(imbalance(even, jnp.array([[0], [0], [1], [0]])))
        1.0
    """
    experts = probabilities.shape[1]
    named = jax.nn.one_hot(chosen.reshape(-1), experts, dtype=probabilities.dtype)
    return experts * jnp.sum(named.mean(axis=0) * probabilities.mean(axis=0))


@custom_vjp
def _moved(x: jax.Array, rows: jax.Array, back: jax.Array) -> jax.Array:
    """Returns the rows of `x` at some places, zeros where there is no such place.

    Its transpose reads as well: a scatter that adds is slow, and on a GPU its sums come
    out in another order each time.

    Args:
        x: `[n, width]`.
        rows: Where in `x` each row of the result stands, `int32[m]`.
        back: Where in the result each row of `x` stands, `int32[n, times]`; m for
            nowhere.
    """
    return jnp.take(x, rows, axis=0, mode="fill", fill_value=0)


def _moved_and_kept(x: jax.Array, rows: jax.Array, back: jax.Array) -> tuple[Any, Any]:
    return _moved(x, rows, back), (back,)


def _moved_back(kept: Any, gradient: jax.Array) -> tuple[jax.Array, None, None]:
    [back] = kept
    found = jnp.take(gradient, back, axis=0, mode="fill", fill_value=0)
    return found.sum(axis=1), None, None


_moved.defvjp(_moved_and_kept, _moved_back)
