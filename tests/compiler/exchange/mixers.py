"""Several exchanges in a row with a mixer, over members or on a tape."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from diamond.compiler.exchange.contract import Mixer
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import mixer_of
from diamond.compiler.exchange.wire import Tape, Wire
from diamond.compiler.plan import TensorSpec
from diamond.compiler.program import Program
from diamond.compiler.variants import variants_of
from diamond.dsl.vocabulary import NoCompression
from tests.compiler.exchange.members import AXIS, over_members

PATHS = ("a/b", "a/w", "c/w")
SHAPES = ((5,), (3, 7), (2, 8))
MixerOf = Callable[[Wire], Mixer]


def mixer_for(who: Any, form: Any = NoCompression(), **more: Any) -> MixerOf:  # noqa: B008
    """Returns what makes the mixer of two terms of the language for a wire."""

    def make(wire: Wire) -> Mixer:
        pairs = zip(PATHS, SHAPES, strict=True)
        tensors = tuple(TensorSpec(path, shape, "float32") for path, shape in pairs)
        return mixer_of(who, form, Site(wire, tensors, **more))

    return make


def mixed(make: MixerOf, rounds: Sequence[Any]) -> tuple[Any, Any]:
    """Returns what each exchange makes and the last state, members as the first dim."""

    def run(wire: Wire, *rounds: Any) -> Any:
        mixer = make(wire)
        state, made = mixer.init(rounds[0]), []
        for number, values in enumerate(rounds):
            turn = mixer.turns[number % len(mixer.turns)]
            values, state = mixer.mean(values, state, turn)
            made.append(values)
        return made, state

    return jax.tree.map(np.asarray, over_members(run, *rounds))


def alike(copies: Any) -> Any:
    """Returns one of the copies, which must be the same to the last bit."""
    for leaf in jax.tree.leaves(copies):
        for copy in leaf[1:]:
            np.testing.assert_array_equal(copy, leaf[0])
    return jax.tree.map(lambda leaf: leaf[0], copies)


def flat(leaves: Sequence[np.ndarray]) -> np.ndarray:
    """Returns leaves `[members, ...]` end to end, `[members, n]`."""
    return np.concatenate([leaf.reshape(len(leaf), -1) for leaf in leaves], axis=1)


def sent(make: MixerOf, size: int, turn: int = 0) -> list[tuple[str, str, int]]:
    """Returns kind, type and elements of each message of one exchange."""
    tape = Tape()
    mixer = make(tape.wire(AXIS, size))
    values = [jax.ShapeDtypeStruct(shape, np.float32) for shape in SHAPES]
    jax.eval_shape(lambda v: mixer.mean(v, mixer.init(v), turn), values)
    return [(each.kind, each.dtype, each.elements) for each in tape.messages]


def certified(program: Program) -> list[dict[str, int]]:
    """Certifies a program; counts the collectives in the HLO of each of its steps."""
    program.certify()
    texts = [
        program.executables.step(due).as_text() for due in variants_of(program.plan)
    ]
    return [_collectives(text) for text in texts]


def _collectives(text: str) -> dict[str, int]:
    kinds = "all-reduce|all-gather|all-to-all|collective-permute"
    found: dict[str, int] = {}
    for kind in re.findall(rf" ({kinds})(?:-start)?\(", text):
        found[kind] = found.get(kind, 0) + 1
    return found
