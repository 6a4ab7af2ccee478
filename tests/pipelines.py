"""Schemes with a pipeline, over a tiny transformer."""

import dataclasses
import functools
import random
from typing import Any

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import (
    Pipeline,
    Scheme,
    Sequence,
    Tensor,
    Transformer,
    Zero,
)
from diamond.runtime.tasks import make_task
from tests import products
from tests.shards import TOKENS, Tokens, cut_scheme

MODEL = Transformer(layers=4, width=8, heads=2, context=TOKENS, expansion=2.0)
TERMS = {
    "gpipe": Pipeline("gpipe", microbatches=4),
    "one_f_one_b": Pipeline("one_f_one_b", microbatches=4),
    "interleaved": Pipeline("interleaved", microbatches=4, chunks=2),
    "zero_bubble": Pipeline("zero_bubble", microbatches=4),
}


def piped(
    term: Pipeline,
    stages: int,
    *outer: tuple[str, int, Any],
    model: Transformer = MODEL,
    precision: str = "fp64",
    **train: Any,
) -> Scheme:
    """Returns a scheme with a pipeline inside other axes.

    Args:
        term: The pipeline.
        stages: Its stages.
        outer: Name, size and strategy or exchange of the axes outside.
        model: The model.
        precision: `fp32` or `fp64`.
        train: More of what `Train` takes.
    """
    scheme = cut_scheme(*outer, ("stage", stages, term), precision=precision)
    train = dataclasses.replace(scheme.train, **train)
    return dataclasses.replace(scheme, model=model, train=train)


@functools.lru_cache(maxsize=8)
def piped_task(scheme: Scheme) -> Task:
    """Returns the task of such a scheme."""
    return make_task(scheme, Tokens())


def piped_program(scheme: Scheme) -> Program:
    """Compiles such a scheme."""
    return build(scheme, piped_task(scheme), Tokens().example_shapes())


def drawn_pipes(number: int) -> list[Scheme]:
    """Draws schemes that the checker accepts: a pipeline, shards and exchanges."""
    draw = random.Random(0)
    found: list[Scheme] = []
    while len(found) < number:
        scheme = _drawn(draw)
        if not any(each.severity == "error" for each in legality(scheme)):
            found.append(scheme)
    return found


def _drawn(draw: random.Random) -> Scheme:
    exchange = {
        "centralization": draw.choice(products.CENTRALIZATIONS),
        "consistency": draw.choice(products.RULES),
        "compression": draw.choice(products.CODECS),
    }
    outer: list[tuple[str, int, Any]] = [("site", 2, exchange)]
    beside: list[tuple[str, int, Any]] = [
        ("host", 2, Zero(draw.choice((1, 2, 3)))),
        ("lane", 2, Sequence("all_to_all")),
        ("chip", 2, Tensor()),
    ]
    if draw.random() < 0.7:
        outer.append(draw.choice(beside))
    term = dataclasses.replace(draw.choice(list(TERMS.values())), microbatches=2)
    return piped(term, 2, *outer, accumulate=draw.choice((1, 1, 2)))
