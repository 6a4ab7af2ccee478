"""A copy that is cut up trains as the whole one does, exchanges and all."""

import dataclasses

import jax
import pytest

from diamond.dsl.vocabulary import (
    Int8,
    Local,
    Nesterov,
    Scheme,
    Sequence,
    Tensor,
    TopK,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.shards import (
    MODEL,
    alone_and_in_pairs,
    cut_program,
    cut_scheme,
    drawn,
    task_of,
    tokens_at,
)

STEPS = 10
TOLERANCES = {"fp64": 1e-10, "fp32": 1e-5}
PARTS = 20


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def _hold(scheme: Scheme) -> None:
    """Trains ten steps beside the reference engine."""
    tolerance = TOLERANCES[scheme.train.precision]
    with jax.enable_x64(scheme.train.precision == "fp64"):
        pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
        pair.program.certify()
        follow_copies(pair, tokens_at, steps=STEPS, tolerance=tolerance)


@pytest.mark.parametrize("number", range(len(list(alone_and_in_pairs("fp64")))))
def test_every_strategy_alone_and_every_pair(number: int) -> None:
    _hold(list(alone_and_in_pairs("fp64"))[number])


def test_some_of_them_in_fp32() -> None:
    for scheme in list(alone_and_in_pairs("fp32"))[::6]:
        _hold(scheme)


@pytest.mark.slow
def test_all_of_them_in_fp32() -> None:
    for scheme in alone_and_in_pairs("fp32"):
        _hold(scheme)


@pytest.mark.parametrize(
    "compression", [Int8(block=8, feedback=True), TopK(density=0.1)]
)
def test_codecs_see_one_cut(compression) -> None:
    exchange = {
        "consistency": Local(every=2, outer=Nesterov()),
        "compression": compression,
    }
    _hold(
        cut_scheme(("site", 2, exchange), ("host", 2, Zero(2)), ("chip", 2, Tensor()))
    )


@pytest.mark.parametrize("method", ["ring", "all_to_all"])
def test_tokens_keep_their_places_in_microbatches(method: str) -> None:
    model = dataclasses.replace(MODEL, positions="learned", layers=2)
    axes = (("host", 2, Zero(3)), ("lane", 2, Sequence(method)))
    _hold(cut_scheme(*axes, model=model, accumulate=2, remat="block"))


def test_the_first_drawn_schemes() -> None:
    for scheme in drawn(3, "fp64"):
        _hold(scheme)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_drawn_schemes(part: int) -> None:
    for scheme in drawn(300, "fp64")[part::PARTS]:
        _hold(scheme)
