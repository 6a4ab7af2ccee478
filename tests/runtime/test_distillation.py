"""A student learns what the members of an ensemble predict together."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.dsl.distillation import student_of
from diamond.dsl.vocabulary import Distill, Ensemble, Mlp, Scheme, Zero
from diamond.runtime.distillation import (
    MEMBERS,
    Student,
    distilled,
    divergence,
    student_of_program,
    student_of_reference,
)
from diamond.runtime.tasks import make_task
from tests.columns import Images, columns_scheme, columns_task, images_at
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.shards import Tokens, cut_scheme, task_of, tokens_at

SEATS = ("seat", 2, Ensemble())
TERM = Distill(Mlp(width=4, layers=1), steps=10, temperature=3.0, weight=0.25)


class _Held(Images):
    """Data whose held-out part is a batch."""

    def batch_at(self, step: int) -> dict[str, np.ndarray]:
        return images_at(step)


def _scheme(precision: str = "fp64", term: Distill = TERM) -> Scheme:
    scheme = columns_scheme(SEATS, ("host", 2, Zero(2)), precision=precision)
    return dataclasses.replace(scheme, distill=term)


def _members(task: Any, number: int = 2) -> Any:
    keys = [jax.random.key(seed) for seed in range(number)]
    return jax.tree.map(lambda *each: np.stack(each), *map(task.init, keys))


def _pair(scheme: Scheme) -> tuple[Student, Student]:
    task = columns_task(scheme)
    given = (scheme, task, _members(task), _Held())
    return student_of_program(*given), student_of_reference(*given)


def _mean_softmax(task: Any, members: Any, batch: Any) -> np.ndarray:
    number = len(jax.tree.leaves(members)[0])
    models = [jax.tree.map(lambda x, k=k: x[k], members) for k in range(number)]
    logits = [np.asarray(task.predictions.predict(m, batch)) for m in models]
    powers = [np.exp(each - each.max(-1, keepdims=True)) for each in logits]
    return np.mean([each / each.sum(-1, keepdims=True) for each in powers], axis=0)


def test_ten_steps_are_those_of_the_equations() -> None:
    with jax.enable_x64(True):
        mesh, reference = _pair(_scheme())
        rows = mesh.engine.certify().rows
        assert {row.axis for row in rows} == {"seat", "host"}
        assert {row.elements for row in rows} == {mesh.engine.plan.parameters}
        batches = [images_at(step) for step in range(10)]
        pair = Pair(mesh.engine, reference.engine)
        labels = [reference.label(batch) for batch in batches]
        for batch, label in zip(batches, labels, strict=True):
            np.testing.assert_allclose(mesh.label(batch), label, rtol=1e-12)
        steps = [{**b, MEMBERS: z} for b, z in zip(batches, labels, strict=True)]
        follow_copies(pair, steps.__getitem__, steps=10, tolerance=1e-10)


def test_steps_and_metrics_of_both_engines_agree() -> None:
    with jax.enable_x64(True):
        students = _pair(_scheme())
        states = [student.init(jax.random.key(0)) for student in students]
        for step in range(3):
            ran = [s.step(x, images_at(step)) for s, x in zip(students, states)]  # noqa: B905
            states = [state for state, _ in ran]
            losses = [np.mean(np.asarray(found["loss"])) for _, found in ran]
            assert losses[0] == pytest.approx(losses[1], rel=1e-10)
        found, expected = (
            student.evaluate(state, images_at(9))
            for student, state in zip(students, states, strict=True)
        )
    assert set(found) == {"loss", "accuracy"}
    assert found == pytest.approx(expected, rel=1e-10)


def test_labels_are_logarithms_of_mean_probabilities() -> None:
    scheme = _scheme("fp32")
    task = columns_task(scheme)
    members = _members(task, 3)
    student = student_of_program(scheme, task, members, _Held())
    batch = images_at(0)
    expected = np.log(_mean_softmax(task, members, batch))
    np.testing.assert_allclose(student.label(batch), expected, rtol=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.25, 1.0])
def test_the_loss_is_that_of_the_paper(weight: float) -> None:
    scheme = student_of(_scheme("fp32"))
    task = make_task(scheme, _Held())
    params, batch = task.init(jax.random.key(7)), images_at(0)
    z = np.asarray(jax.random.normal(jax.random.key(8), (len(batch["y"]), 4)))
    term = dataclasses.replace(TERM, weight=weight)
    found = distilled(task, term).loss(params, {**batch, MEMBERS: jnp.asarray(z)})

    s = np.asarray(task.predictions.predict(params, batch), np.float64)
    p, q = (_softmax(each / term.temperature) for each in (z, s))
    soft = term.temperature**2 * np.mean(np.sum(p * np.log(p / q), axis=-1))
    hard = -np.mean(np.log(_softmax(s)[np.arange(len(s)), batch["y"]]))
    expected = (1 - weight) * hard + weight * soft
    assert float(found) == pytest.approx(expected, rel=1e-5)


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(np.asarray(logits, np.float64))
    return powers / powers.sum(-1, keepdims=True)


def test_the_temperature_keeps_the_size_of_gradients() -> None:
    draw = np.random.default_rng(0)
    z, s = 1e-3 * draw.normal(size=(2, 8, 10))

    def gradient(temperature: float) -> jax.Array:
        return jax.grad(lambda x: jnp.sum(divergence(z, x, temperature)))(s)

    with jax.enable_x64(True):
        np.testing.assert_allclose(gradient(10.0), gradient(1.0), atol=2e-6)
        assert np.abs(gradient(1.0)).max() > 1e-4


def test_a_student_comes_near_to_what_it_is_taught() -> None:
    term = dataclasses.replace(TERM, model=Mlp(width=8), weight=1.0, temperature=1.0)
    scheme = _scheme("fp32", term)
    student, _ = _pair(scheme)
    state = student.init(jax.random.key(0))
    losses = []
    for _ in range(150):
        state, found = student.step(state, images_at(0))
        losses.append(float(np.mean(np.asarray(found["loss"]))))
    assert losses[-1] < 0.05 * losses[0]


def test_tokens_are_distilled_one_by_one() -> None:
    class Rows(Tokens):
        def batch_at(self, step: int) -> dict[str, np.ndarray]:
            return tokens_at(step)

    scheme = dataclasses.replace(
        cut_scheme(SEATS, precision="fp32"), distill=Distill(steps=5)
    )
    task = task_of(scheme)
    student = student_of_program(scheme, task, _members(task), Rows())
    state = student.init(jax.random.key(0))
    state, _ = student.step(state, tokens_at(0))
    assert student.label(tokens_at(0)).shape == (16, 8, 16)
    assert set(student.evaluate(state, tokens_at(1))) == {"loss", "perplexity"}


def test_a_scheme_without_it_has_no_student() -> None:
    with pytest.raises(ValueError, match="scheme `cut` has no `distill`"):
        student_of(columns_scheme(SEATS))
