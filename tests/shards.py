"""Schemes that cut one copy up, over a tiny transformer, and drawn ones."""

import functools
import itertools
import random
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import (
    Axis,
    Call,
    Int8,
    Parallel,
    Qsgd,
    Replicas,
    Scheme,
    Sequence,
    Tensor,
    Train,
    Transformer,
    Zero,
)
from diamond.runtime.tasks import make_task
from tests import products

VOCAB, TOKENS, EXAMPLES = 16, 8, 16
MODEL = Transformer(layers=1, width=16, heads=4, context=TOKENS, expansion=2.0)
OPTIMIZER = Call("adam", (("learning_rate", 0.003),))
ZEROS = (Zero(1), Zero(2), Zero(3))
CODED = (Zero(2, Int8(block=8)), Zero(3, Qsgd(bits=4, bucket=8)))
SEQUENCES = (Sequence("ring"), Sequence("all_to_all"))
STRATEGIES = (*ZEROS, Tensor(), *SEQUENCES)


class Tokens:
    """What a model of the language is told about its data."""

    classes = VOCAB

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes of a batch."""
        shape = jax.ShapeDtypeStruct((EXAMPLES, TOKENS), np.uint8)
        return {"x": shape, "y": shape}


def cut_scheme(
    *axes: tuple[str, int, Any],
    precision: str = "fp64",
    optimizer: Call = OPTIMIZER,
    model: Transformer = MODEL,
    **train: Any,
) -> Scheme:
    """Returns a scheme over some axes.

    Args:
        axes: Name and size, outermost first, with a strategy or a dict of what
            `Replicas` takes.
        precision: `fp32` or `fp64`.
        optimizer: The optimizer.
        model: The model.
        train: Further settings of `Train`.
    """
    return Scheme(
        "cut",
        model=model,
        train=Train(optimizer=optimizer, steps=10, precision=precision, **train),
        mesh=tuple(Axis(name, size) for name, size, _ in axes),
        parallelism=tuple(
            Parallel(s, n) for n, _, s in axes if not isinstance(s, dict)
        ),
        replicas=tuple(Replicas(n, **s) for n, _, s in axes if isinstance(s, dict)),
    )


def task_of(scheme: Scheme) -> Task:
    """Returns the task of such a scheme, the same for the same model and training."""
    return _task(Scheme("alone", model=scheme.model, train=scheme.train))


@functools.cache
def _task(scheme: Scheme) -> Task:
    return make_task(scheme, Tokens())


def cut_program(scheme: Scheme) -> Program:
    """Compiles such a scheme."""
    return build(scheme, task_of(scheme), Tokens().example_shapes())


def tokens_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step: a function of the step alone."""
    draw = np.random.default_rng(step)
    rows = draw.integers(0, VOCAB, (EXAMPLES, TOKENS + 1), dtype=np.uint8)
    return {"x": rows[:, :-1], "y": rows[:, 1:]}


def alone_and_in_pairs(precision: str) -> Iterator[Scheme]:
    """Yields every strategy alone and every pair."""
    for strategy in STRATEGIES:
        yield cut_scheme(("host", 4, strategy), precision=precision)
    for one, other in itertools.combinations(STRATEGIES, 2):
        if type(one) is not type(other):
            axes = (("host", 2, one), ("chip", 2, other))
            yield cut_scheme(*axes, precision=precision)


def drawn(number: int, precision: str) -> list[Scheme]:
    """Draws schemes on 8 devices that the checker accepts: shards and exchanges."""
    draw = random.Random(0)
    found: list[Scheme] = []
    while len(found) < number:
        scheme = cut_scheme(*_axes(draw), precision=precision)
        if not any(each.severity == "error" for each in legality(scheme)):
            found.append(scheme)
    return found


def _axes(draw: random.Random) -> list[tuple[str, int, Any]]:
    # Most often with copies, so that what is exchanged is cut.
    every = [s for s in itertools.product((1, 2, 4), repeat=4) if _is_8(s)]
    copied = [sizes for sizes in every if sizes[0] > 1]
    sizes = draw.choice(draw.choice([every, copied, copied]))
    exchange = {
        "centralization": draw.choice(products.CENTRALIZATIONS),
        "consistency": draw.choice(products.RULES),
        "compression": draw.choice(products.CODECS),
    }
    named = (
        ("site", sizes[0], exchange),
        ("host", sizes[1], draw.choice(ZEROS + CODED)),
        ("lane", sizes[2], draw.choice(SEQUENCES)),
        ("chip", sizes[3], Tensor()),
    )
    return [axis for axis in named if axis[1] > 1]


def _is_8(sizes: tuple[int, ...]) -> bool:
    return int(np.prod(sizes)) == 8
