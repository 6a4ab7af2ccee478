"""A pipeline trains as the whole model does, whatever its schedule."""

import dataclasses

import jax
import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    Int8,
    Local,
    Nesterov,
    Scheme,
    Sequence,
    Tensor,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests.pipelines import (
    MODEL,
    TERMS,
    drawn_pipes,
    piped,
    piped_program,
    piped_task,
)
from tests.shards import tokens_at

STEPS = 3


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def _hold(scheme: Scheme) -> None:
    """Trains some steps beside the reference engine, from the reference's state."""
    with jax.enable_x64(True):
        program = piped_program(scheme)
        program.certify()
        engine = ReferenceEngine(scheme, piped_task(scheme))
        state, truth = (e.init(jax.random.key(0)) for e in (program, engine))
        for step in range(STEPS):
            state, found = program.step(state, tokens_at(step))
            truth, expected = engine.step(truth, tokens_at(step))
            losses = np.asarray(found["loss"]).reshape(engine.num_members, -1)
            truths = np.ravel(expected["loss"])
            np.testing.assert_allclose(losses.mean(axis=1), truths, rtol=1e-10)
        for member in range(engine.num_members):
            found = jax.tree.leaves(program.member_params(state, member))
            theirs = jax.tree.leaves(engine.member_parameters(truth, member))
            for mine, its in zip(found, theirs, strict=True):
                assert np.abs(mine - its).max() <= 1e-10 * np.abs(its).max()


SYNCHRONOUS: dict = {}
DILOCO = {
    "consistency": Local(every=2, outer=Nesterov()),
    "compression": Int8(block=8, feedback=True),
}
SMALL = dataclasses.replace(MODEL, layers=2)
DEEP = dataclasses.replace(MODEL, layers=8)
LEARNED = dataclasses.replace(MODEL, positions="learned", norm="layernorm", mlp="gelu")


@pytest.mark.parametrize("schedule", ["gpipe", "one_f_one_b", "zero_bubble"])
def test_two_stages(schedule: str) -> None:
    _hold(piped(TERMS[schedule], 2, model=SMALL))


def test_two_stages_of_two_chunks() -> None:
    _hold(piped(TERMS["interleaved"], 2))


@pytest.mark.parametrize("schedule", ["one_f_one_b", "zero_bubble"])
def test_shards_and_exchanges_outside(schedule: str) -> None:
    term = dataclasses.replace(TERMS[schedule], microbatches=2)
    _hold(piped(term, 2, ("site", 2, DILOCO), ("host", 2, Zero(2)), model=SMALL))


BESIDE = {
    "tensor": ("chip", 2, Tensor()),
    "sequence": ("lane", 2, Sequence("all_to_all")),
    "zero": ("host", 2, Zero(3)),
}


@pytest.mark.parametrize(
    ("schedule", "beside"),
    [
        ("one_f_one_b", ["tensor"]),
        ("zero_bubble", ["zero", "sequence"]),
        pytest.param("zero_bubble", ["zero", "tensor"], marks=pytest.mark.slow),
        pytest.param("gpipe", ["tensor", "sequence"], marks=pytest.mark.slow),
        pytest.param("one_f_one_b", ["zero", "sequence"], marks=pytest.mark.slow),
    ],
)
def test_stages_that_are_cut_up(schedule: str, beside: list[str]) -> None:
    term = dataclasses.replace(TERMS[schedule], microbatches=2)
    model = dataclasses.replace(SMALL, heads=4)
    _hold(piped(term, 2, *(BESIDE[name] for name in beside), model=model))


@pytest.mark.slow
@pytest.mark.parametrize("beside", [list(BESIDE)[:2], list(BESIDE)[1:]])
def test_chunks_that_are_cut_up(beside: list[str]) -> None:
    term = dataclasses.replace(TERMS["interleaved"], microbatches=2)
    model = dataclasses.replace(MODEL, heads=4)
    _hold(piped(term, 2, *(BESIDE[name] for name in beside), model=model))


@pytest.mark.slow
def test_all_strategies_inside_an_exchange() -> None:
    term = dataclasses.replace(TERMS["one_f_one_b"], microbatches=2)
    outer = [("site", 2, DILOCO), BESIDE["tensor"]]
    _hold(piped(term, 2, *outer, model=SMALL, accumulate=2, remat="block"))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["gpipe", "one_f_one_b", "zero_bubble"])
def test_four_stages(schedule: str) -> None:
    _hold(piped(TERMS[schedule], 4))


@pytest.mark.slow
def test_four_stages_of_two_chunks() -> None:
    _hold(piped(TERMS["interleaved"], 4, model=DEEP))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", list(TERMS))
def test_other_layers(schedule: str) -> None:
    _hold(piped(TERMS[schedule], 2, model=LEARNED))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", list(TERMS))
@pytest.mark.parametrize(
    "outer",
    [
        [("site", 2, SYNCHRONOUS)],
        [("site", 2, DILOCO)],
        [("host", 2, Zero(1))],
        [("site", 2, DILOCO), ("host", 2, Zero(2))],
    ],
    ids=["replicas", "diloco", "zero", "both"],
)
def test_inside_other_axes(schedule: str, outer: list) -> None:
    term = dataclasses.replace(TERMS[schedule], microbatches=2)
    _hold(piped(term, 2, *outer))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", list(TERMS))
def test_accumulation(schedule: str) -> None:
    _hold(piped(TERMS[schedule], 2, accumulate=2))


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["gpipe", "one_f_one_b", "interleaved"])
def test_recomputation_inside_blocks(schedule: str) -> None:
    _hold(piped(TERMS[schedule], 2, remat="block"))


def test_the_first_drawn_scheme() -> None:
    _hold(drawn_pipes(1)[0])


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_drawn_schemes(part: int) -> None:
    for scheme in drawn_pipes(64)[part::8]:
        _hold(scheme)
