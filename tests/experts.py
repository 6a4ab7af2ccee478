"""Schemes with a mixture of experts, over a tiny transformer."""

import dataclasses
import functools
import random
from typing import Any

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import (
    Axis,
    Expert,
    Parallel,
    Scheme,
    Tensor,
    Transformer,
)
from diamond.runtime.tasks import make_task
from tests import products
from tests.shards import TOKENS, ZEROS, Tokens, cut_scheme

MODEL = Transformer(layers=2, width=16, heads=2, context=TOKENS, expansion=2.0)
# So little room that tokens are dropped in every batch of the tests.
EXPERT = Expert(experts=4, top_k=2, capacity=0.75, balance=0.1)


def mixed(*axes: tuple[str, int, Any], **given: Any) -> Scheme:
    """Returns a scheme over some axes; see `cut_scheme`."""
    return cut_scheme(*axes, **{"model": MODEL, **given})


def task_of(scheme: Scheme) -> Task:
    """Returns the task of such a scheme, the same for the same model and training."""
    [term] = [p.strategy for p in scheme.parallelism if isinstance(p.strategy, Expert)]
    alone = dataclasses.replace(
        scheme,
        mesh=(Axis("lane", 1),),
        parallelism=(Parallel(term, "lane"),),
        replicas=(),
    )
    return _task(alone)


@functools.cache
def _task(scheme: Scheme) -> Task:
    return make_task(scheme, Tokens())


def mixed_program(scheme: Scheme) -> Program:
    """Compiles such a scheme."""
    return build(scheme, task_of(scheme), Tokens().example_shapes())


def drawn_mixtures(number: int, precision: str = "fp64") -> list[Scheme]:
    """Draws schemes that the checker accepts: experts, shards and exchanges."""
    draw = random.Random(0)
    found: list[Scheme] = []
    while len(found) < number:
        scheme = _drawn(draw, precision)
        if not any(each.severity == "error" for each in legality(scheme)):
            found.append(scheme)
    return found


def _drawn(draw: random.Random, precision: str) -> Scheme:
    exchange = {
        "centralization": draw.choice(products.CENTRALIZATIONS),
        "consistency": draw.choice(products.RULES),
        "compression": draw.choice(products.CODECS),
    }
    inner: list[tuple[str, int, Any]] = [("lane", 2, _term(draw))]
    others = ("host", 2, draw.choice(ZEROS)), ("chip", 2, Tensor())
    inner += [axis for axis in others if draw.random() < 0.4]
    draw.shuffle(inner)
    room = 8 // 2 ** len(inner)
    site = [("site", room, exchange)] * (room > 1)
    model = dataclasses.replace(MODEL, layers=1, mlp=draw.choice(("swiglu", "gelu")))
    return mixed(
        *site,
        *inner,
        model=model,
        precision=precision,
        accumulate=draw.choice((1, 1, 2)),
        remat=draw.choice(("none", "block", "full")),
    )


def _term(draw: random.Random) -> Expert:
    return Expert(
        experts=draw.choice((2, 4)),
        top_k=draw.choice((1, 2)),
        capacity=draw.choice((0.5, 0.75, 1.0)),
        balance=draw.choice((0.0, 0.1)),
    )
