"""Several exchanges in a row with a compressor, over members or on a tape."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diamond.compiler.exchange.contract import Compressor
from diamond.compiler.exchange.wire import Tape
from tests.compiler.exchange.members import AXIS, over_members

SHAPES = ((6, 5), (4, 7))


def drawn(members: int, rounds: int = 3, seed: int = 0, shapes: Any = SHAPES) -> Any:
    """Returns random values: a list of leaves `[members, ...]` for each exchange."""
    rng = np.random.default_rng(seed)
    return [
        [rng.standard_normal((members, *shape), np.float32) for shape in shapes]
        for _ in range(rounds)
    ]


def exchanged(compressor: Compressor, rounds: Sequence[Any]) -> tuple[Any, Any]:
    """Returns each exchange's mean and the last state, members as the first dim."""

    def run(wire: Any, *rounds: Any) -> Any:
        state = compressor.init(rounds[0])
        means = []
        for number, values in enumerate(rounds):
            turn = compressor.turns[number % len(compressor.turns)]
            made, state = compressor.mean(values, state, wire, turn)
            means.append(made)
        return means, state

    return jax.tree.map(np.asarray, over_members(run, *rounds))


def means_of(compressor: Compressor, rounds: Sequence[Any]) -> Any:
    """Returns each exchange's mean, which is the same on all members."""
    means, _ = exchanged(compressor, rounds)
    for leaf in jax.tree.leaves(means):
        for copy in leaf[1:]:
            np.testing.assert_array_equal(copy, leaf[0])
    return jax.tree.map(lambda leaf: leaf[0], means)


def average_of(compressor: Compressor, values: Any, times: int) -> Any:
    """Returns the average of the means of exchanges of the same values."""

    def run(wire: Any, values: Any) -> Any:
        def once(carry: Any, _: None) -> tuple[Any, None]:
            total, state = carry
            made, state = compressor.mean(values, state, wire, 0)
            return (jax.tree.map(jnp.add, total, made), state), None

        start = jax.tree.map(jnp.zeros_like, values), compressor.init(values)
        (total, _), _ = jax.lax.scan(once, start, None, length=times)
        return jax.tree.map(lambda leaf: leaf / times, total)

    return jax.tree.map(lambda leaf: np.asarray(leaf[0]), over_members(run, values))


def messages_of(
    compressor: Compressor, size: int, shapes: Any = SHAPES, turn: int = 0
) -> list[tuple[str, str, int]]:
    """Returns kind, type and elements of each message of one exchange."""
    tape = Tape()
    values = [jax.ShapeDtypeStruct(shape, np.float32) for shape in shapes]

    def run(values: Any) -> Any:
        wire = tape.wire(AXIS, size)
        return compressor.mean(values, compressor.init(values), wire, turn)

    jax.eval_shape(run, values)
    return [(each.kind, each.dtype, each.elements) for each in tape.messages]
