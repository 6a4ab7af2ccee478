"""Random-k: values at random places cross, the same places on every member.

    P   = k places drawn anew at each exchange, alike on all members
    p   = v + e
    y   = (1/N) sum_i p_i at P, 0 elsewhere
    e  <- p with zeros at P

Without feedback, y = (size/k) (1/N) sum_i v_i at P, which is right on average. With k =
density times the tensor's n values, rounded, and 1 at least, the places are one in each
of k runs of n // k values, all moved along by one offset:

    P_j = (j (n // k) + r_j + offset) mod n          r_j < n // k, offset < n

so that they differ and every place is as likely as every other; no sorting is needed.

Bill: k values in their own type, added on the way: 2 b k (N-1)/N bytes of b a value; no
places cross. Memory: one copy of the values for e.
Limits: density 1 is the plain mean. Vectors cross as they are.

References: S. Stich, J.-B. Cordonnier, M. Jaggi, Sparsified SGD with Memory, arXiv
1809.07599, 2018, whose places are any k of n.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.contract import Compressor, Leaves, skips_vectors
from diamond.compiler.exchange.leafwise import mean_in_one, owed, zeros_like
from diamond.compiler.exchange.noise import Stream, bits, key_of, seed_within
from diamond.compiler.exchange.sparse import each_emptied, num_kept, spread, taken
from diamond.compiler.exchange.wire import Wire


class RandomKState(NamedTuple):
    """`lost` is like the values, or None; `uses` is `uint32[]`, exchanges so far."""

    lost: Leaves | None
    uses: jax.Array


def randomk(*, density: float = 0.05, feedback: bool = True) -> Compressor:
    """Returns the mean of values at shared random places.

    Args:
        density: Share of each tensor's values that cross.
        feedback: Keep what did not cross and add it the next time; otherwise what
            crosses is scaled up.

    Example:
        >>> randomk(density=0.1).route
        'sum'
    """

    def init(values: Leaves) -> RandomKState:
        return RandomKState(zeros_like(values) if feedback else None, jnp.uint32(0))

    def mean(
        values: Leaves, state: RandomKState, wire: Wire, turn: int
    ) -> tuple[Leaves, RandomKState]:
        del turn
        wanted = owed(values, state.lost)
        seed = wire.stream(Stream.PLACES)
        places = _places_of(wanted, density, seed, state.uses)
        chosen = jax.tree.map(taken, wanted, places)
        if not feedback:
            chosen = jax.tree.map(_scaled_up, chosen, wanted)
        found = jax.tree.map(spread, mean_in_one(chosen, wire), places, wanted)
        lost = each_emptied(wanted, places) if feedback else None
        return found, RandomKState(lost, state.uses + 1)

    return Compressor(
        init=init,
        mean=mean,
        equations=_equations(density, feedback),
        route="sum",
        reason="everyone's places are the same, so values add up on the way",
        skips=skips_vectors,
    )


def random_places(key: jax.Array, num: int, size: int) -> jax.Array:
    """Returns `num` different places, `int32[num]`, among `size`.

    Example:
        >>> places = random_places(key_of(1, 0, 0), 3, 10)
        >>> len(set(places.tolist())), all(0 <= place < 10 for place in places)
        (3, True)
    """
    drawn = bits(key, num + 1)
    run = size // num
    starts = jnp.arange(num, dtype=jnp.uint32) * jnp.uint32(run)
    inside = drawn[:num] % jnp.uint32(run)
    offset = drawn[num] % jnp.uint32(size)
    places: jax.Array = (starts + inside + offset) % jnp.uint32(size)
    return places.astype(jnp.int32)


def _places_of(
    values: Leaves, density: float, seed: int | jax.Array, uses: jax.Array
) -> Leaves:
    def places(number: int, leaf: jax.Array) -> jax.Array:
        key = key_of(seed_within(seed, number), uses, 0)
        return random_places(key, num_kept(density, leaf.size), leaf.size)

    return [
        None if leaf is None else places(number, leaf)
        for number, leaf in enumerate(values)
    ]


def _scaled_up(chosen: jax.Array, leaf: jax.Array) -> jax.Array:
    return chosen * (leaf.size / chosen.size)


def _equations(density: float, feedback: bool) -> tuple[str, ...]:
    drawn = f"P = {density:g} of each tensor's places, drawn alike by all"
    if not feedback:
        return drawn, "{y} = (size/k) mean of {x} at P, 0 elsewhere"
    owed = "e <- {x} + e, 0 at P"
    return drawn, "{y} = mean of {x} + e at P, 0 elsewhere", owed
