"""Members train alone, from weights of their own, and predict together."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from diamond.compiler.build import build
from diamond.compiler.parallelism.ensemble import average, votes
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.vocabulary import (
    Ensemble,
    Features,
    Gossip,
    Int8,
    Local,
    MeanSquaredError,
    Nesterov,
    Qsgd,
    Scheme,
    Tensor,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.tasks import make_task, task_from
from tests.columns import (
    Images,
    columns_program,
    columns_scheme,
    columns_task,
    images_at,
)
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.experts import EXPERT, mixed, mixed_program
from tests.experts import task_of as mixture_of
from tests.shards import cut_program, cut_scheme, task_of, tokens_at

SEATS = ("seat", 2, Ensemble())
VOTING = ("seat", 4, Ensemble("vote"))
DILOCO = {
    "consistency": Local(every=2, outer=Nesterov()),
    "compression": Int8(block=8, feedback=True),
}
DRAWN = {"compression": Qsgd()}
GOSSIP = {"centralization": Gossip()}
Axes = tuple[tuple[str, int, Any], ...]
LAID: dict[str, Axes] = {
    "alone": (("seat", 4, Ensemble()),),
    "one": (("seat", 1, Ensemble()), ("site", 2, {})),
    "replicas": (SEATS, ("site", 2, {})),
    "diloco": (SEATS, ("site", 2, DILOCO)),
    "drawn": (SEATS, ("site", 2, DRAWN)),
    "gossip": (SEATS, ("site", 2, GOSSIP)),
    "zero": (SEATS, ("host", 2, Zero(2))),
    "tensor": (SEATS, ("chip", 2, Tensor())),
    "features": (SEATS, ("party", 2, Features())),
    "all": (SEATS, ("site", 2, DILOCO), ("host", 2, Zero(3))),
}
RARE = ("one", "replicas", "gossip", "features")


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def _pair(scheme: Scheme) -> Pair:
    return Pair(columns_program(scheme), ReferenceEngine(scheme, columns_task(scheme)))


def _named(laid: str) -> Any:
    return pytest.param(laid, marks=[pytest.mark.slow] if laid in RARE else [])


@pytest.mark.parametrize("laid", [_named(laid) for laid in LAID])
def test_each_member_trains_as_it_would_alone(laid: str) -> None:
    with jax.enable_x64(True):
        pair = _pair(columns_scheme(*LAID[laid]))
        certified = pair.program.certify().rows
        assert "seat" not in {row.axis for row in certified}
        assert pair.program.plan.wire_bytes()["seat"] == 0
        follow_copies(pair, images_at, steps=10, tolerance=1e-10)


def test_in_fp32() -> None:
    pair = _pair(columns_scheme(*LAID["all"], precision="fp32"))
    follow_copies(pair, images_at, steps=10, tolerance=1e-5)


@pytest.mark.slow
def test_tokens_in_shards_of_memory() -> None:
    scheme = cut_scheme(SEATS, ("host", 2, Zero(3)), accumulate=2, remat="block")
    with jax.enable_x64(True):
        pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
        follow_copies(pair, tokens_at, steps=3, tolerance=1e-10)
        _hold_evaluation(pair, tokens_at)


def _hold_evaluation(pair: Pair, batch_at: Any, steps: int = 5) -> dict[str, float]:
    """Evaluates after some steps, beside the reference engine."""
    state, truth = (each.init(jax.random.key(0)) for each in pair)
    for step in range(steps):
        state, _ = pair.program.step(state, batch_at(step))
        truth, _ = pair.engine.step(truth, batch_at(step))
    found = pair.program.evaluate(state, batch_at(100))
    assert found == pytest.approx(pair.engine.evaluate(truth, batch_at(100)), rel=1e-9)
    return found


@pytest.mark.parametrize("axes", [LAID["diloco"], (VOTING,)], ids=["average", "vote"])
def test_evaluation_is_of_what_members_predict_together(axes: Axes) -> None:
    with jax.enable_x64(True):
        found = _hold_evaluation(_pair(columns_scheme(*axes)), images_at)
    assert set(found) == {"loss", "accuracy", "member_loss", "member_accuracy"}
    assert found["loss"] < found["member_loss"]


def test_perplexity_is_that_of_the_mean() -> None:
    scheme = cut_scheme(SEATS, precision="fp32")
    program = cut_program(scheme)
    found = program.evaluate(program.init(jax.random.key(0)), tokens_at(0))
    assert set(found) == {"loss", "member_loss", "perplexity"}
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))


def test_what_a_model_notes_of_itself_is_the_members_mean() -> None:
    with jax.enable_x64(True):
        scheme = mixed(SEATS, ("lane", 2, EXPERT), precision="fp64")
        engine = ReferenceEngine(scheme, mixture_of(scheme))
        found = _hold_evaluation(Pair(mixed_program(scheme), engine), tokens_at)
    assert set(found) == {"loss", "member_loss", "member_dropped", "perplexity"}
    assert 0 < found["member_dropped"] < 1


class _Numbers(Images):
    """Targets that are numbers."""

    classes = None

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        shapes = super().example_shapes()
        return {**shapes, "y": jax.ShapeDtypeStruct(shapes["y"].shape, np.float32)}


def _numbers_at(step: int) -> dict[str, np.ndarray]:
    batch = images_at(step)
    return {**batch, "y": batch["x"].sum((1, 2))}


def _of_numbers(scheme: Scheme) -> Pair:
    task, shapes = make_task(scheme, _Numbers()), _Numbers().example_shapes()
    return Pair(build(scheme, task, shapes), ReferenceEngine(scheme, task))


def test_numbers_are_averaged() -> None:
    with jax.enable_x64(True):
        pair = _of_numbers(columns_scheme(SEATS, loss=MeanSquaredError()))
        found = _hold_evaluation(pair, _numbers_at)
    assert set(found) == {"loss", "member_loss"}
    assert found["loss"] < found["member_loss"]


def test_members_start_from_weights_of_their_own() -> None:
    program = columns_program(columns_scheme(("seat", 4, Ensemble()), precision="fp32"))
    params = program.params(program.init(jax.random.key(0)))
    kernels = np.asarray(params["head"]["kernel"])
    assert len({kernel.tobytes() for kernel in kernels}) == 4
    assert np.abs(np.corrcoef(kernels.reshape(4, -1)) - np.eye(4)).max() < 0.8


def test_copies_inside_a_member_are_averaged_and_members_are_not() -> None:
    program = columns_program(columns_scheme(*LAID["diloco"], precision="fp32"))
    state = program.init(jax.random.key(0))
    for step in range(3):
        state, _ = program.step(state, images_at(step))
    found = jax.tree.leaves(program.params(state))
    for leaf, mean in zip(jax.tree.leaves(state.params), found, strict=True):
        assert leaf.shape[:2] == (2, 2)
        np.testing.assert_allclose(mean, np.asarray(leaf).mean(1), atol=1e-6)


def test_a_model_is_one_of_the_members() -> None:
    program = columns_program(columns_scheme(("seat", 4, Ensemble()), precision="fp32"))
    state = program.init(jax.random.key(0))
    x = images_at(0)["x"]
    for member in range(4):
        params = program.member_params(state, member)
        expected = program.task.module(params)(x)
        found = program.model(state, member)(x)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match="has 4 models: name a `member`"):
        program.model(state)
    alone = columns_program(columns_scheme(precision="fp32"))
    with pytest.raises(ValueError, match="has one model"):
        alone.model(alone.init(jax.random.key(0)), 1)


def test_the_mean_is_of_probabilities() -> None:
    logits = jax.random.normal(jax.random.key(0), (3, 5, 4)) * 3
    expected = jnp.log(jnp.mean(jax.nn.softmax(logits), axis=0))
    np.testing.assert_allclose(average(logits, True), expected, rtol=1e-5)
    np.testing.assert_allclose(average(logits, False), logits.mean(0), rtol=1e-6)


def test_of_equally_many_votes_the_smaller_class_wins() -> None:
    chosen = np.array([[3, 1, 2], [1, 1, 2], [3, 0, 0], [1, 0, 3]])
    counts = votes(jnp.asarray(np.eye(4, dtype=np.float32)[chosen]))
    np.testing.assert_array_equal(np.argmax(counts, -1), [1, 0, 2])


def test_a_plan_says_so_and_reads_back() -> None:
    program = columns_program(columns_scheme(*LAID["all"], precision="fp32"))
    assert read_plan(print_plan(program.plan)) == program.plan
    assert "evaluated: mean over seat" in program.explain()
    assert "members train alone" in program.explain()
    assert program.plan.members == 4


def test_a_loss_of_ones_own_is_refused() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        return jnp.mean(model(batch["x"]) ** 2)

    scheme = columns_scheme(SEATS, precision="fp32")
    task = make_task(scheme, Images(), loss=loss)
    with pytest.raises(ValueError, match="`ensemble over seat` joins what its members"):
        build(scheme, task, Images().example_shapes())


def test_votes_on_what_is_no_class_are_refused() -> None:
    scheme = columns_scheme(VOTING, precision="fp32", loss=MeanSquaredError())
    with pytest.raises(ValueError, match="`ensemble over seat` votes on classes"):
        _of_numbers(scheme)
    with pytest.raises(ValueError, match="`ensemble over seat` votes on classes"):
        cut_program(cut_scheme(VOTING, precision="fp32"))


def test_a_module_of_ones_own_with_a_loss_of_the_language() -> None:
    scheme = dataclasses.replace(columns_scheme(SEATS, precision="fp32"), model=None)

    class Flat(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.out = nnx.Linear(24, 4, rngs=rngs)

        def __call__(self, x: jax.Array) -> jax.Array:
            return self.out(x.reshape(len(x), -1))

    task = task_from(Flat, scheme.train.loss, scheme.train.optimizer)
    program = build(scheme, task, Images().example_shapes())
    found = program.evaluate(program.init(jax.random.key(0)), images_at(0))
    assert found["loss"] < found["member_loss"]


def test_no_meaning_is_written_down_for_an_ensemble_inside_copies() -> None:
    scheme = columns_scheme(("site", 2, {}), SEATS)
    with (
        jax.enable_x64(True),
        pytest.raises(ValueError, match="axes outside an ensemble"),
    ):
        ReferenceEngine(scheme, columns_task(scheme))
