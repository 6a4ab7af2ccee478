"""Tasks: the scheme's own parts, and the caller's."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from diamond.compiler.task import Task
from diamond.dsl.vocabulary.scheme import Scheme, Train
from diamond.dsl.vocabulary.training import (
    Arrays,
    Call,
    CrossEntropy,
    Digits,
    MeanSquaredError,
    Mlp,
    Text,
    Transformer,
)
from diamond.runtime.tasks import make_task, task_from

KEY = jax.random.key(0)
SGD = Call("sgd", (("lr", 0.1),))
DIGITS = Scheme("digits", Mlp(width=8), Digits(batch=4), Train(optimizer=SGD))
TOKENS = Transformer(layers=1, width=8, heads=2, context=6)


def linear(rngs: nnx.Rngs) -> nnx.Module:
    return nnx.Linear(3, 2, rngs=rngs)


def digits(examples: int = 4) -> dict[str, Any]:
    x = jax.random.uniform(KEY, (examples, 8, 8, 1))
    return {"x": x, "y": jnp.arange(examples, dtype=jnp.int32) % 10}


def holds_together(task: Task, batch: dict[str, Any]) -> dict[str, float]:
    """Asserts what every task promises; returns its report."""
    params = task.init(KEY)
    measures = task.measure(params, batch)
    examples = len(batch["x"])
    assert all(value.shape == (examples,) for value in measures.values())
    loss = task.loss(params, batch)
    assert loss.shape == ()
    np.testing.assert_allclose(loss, measures["loss"].mean(), rtol=1e-5)
    gradient = jax.grad(task.loss)(params, batch)
    updates, _ = task.optimizer.update(gradient, task.optimizer.init(params), params)
    assert jax.tree.structure(updates) == jax.tree.structure(params)
    return task.report({k: float(v.mean()) for k, v in measures.items()})


def test_classification_reports_accuracy() -> None:
    report = holds_together(make_task(DIGITS), digits())
    assert sorted(report) == ["accuracy", "loss"]


def test_accuracy_counts_hits() -> None:
    task = task_from(linear, CrossEntropy(), SGD)
    params = {"kernel": jnp.zeros((3, 2)), "bias": jnp.array([0.0, 1.0])}
    batch = {"x": jnp.ones((4, 3)), "y": jnp.array([1, 0, 1, 1])}
    assert task.measure(params, batch)["accuracy"].tolist() == [1, 0, 1, 1]


def test_tokens_report_perplexity() -> None:
    scheme = Scheme("text", TOKENS, Text(batch=2), Train(optimizer=SGD))
    tokens = jnp.arange(12, dtype=jnp.int32).reshape(2, 6)
    report = holds_together(make_task(scheme), {"x": tokens, "y": tokens})
    assert sorted(report) == ["loss", "perplexity"]
    assert report["perplexity"] == pytest.approx(math.exp(report["loss"]))
    assert report["loss"] == pytest.approx(math.log(256), abs=0.05)


def test_an_endless_loss_has_an_endless_perplexity() -> None:
    report = task_from(linear, CrossEntropy(), SGD).report
    assert report({"loss": 1e6})["perplexity"] == math.inf
    assert math.isnan(report({"loss": math.nan})["perplexity"])


def test_regression_reports_the_loss() -> None:
    task = task_from(linear, MeanSquaredError(), SGD)
    batch = {"x": jnp.ones((5, 3)), "y": jnp.zeros((5, 2))}
    assert list(holds_together(task, batch)) == ["loss"]


def test_a_loss_of_the_callers_own() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        assert isinstance(model, nnx.Linear)
        return jnp.mean(jnp.abs(model(batch["x"]) - batch["target"]))

    task = task_from(linear, loss, optax.sgd(0.1))
    batch = {"x": jax.random.normal(KEY, (5, 3)), "target": jnp.ones((5, 2))}
    assert list(holds_together(task, batch)) == ["loss"]
    params = task.init(KEY)
    singles = [
        task.loss(params, jax.tree.map(lambda a, i=i: a[i : i + 1], batch))
        for i in range(5)
    ]
    each = task.measure(params, batch)["loss"]
    np.testing.assert_allclose(each, jnp.stack(singles), rtol=1e-5)


def test_parts_of_a_scheme_can_be_replaced() -> None:
    module = nnx.Sequential(lambda x: x.reshape(len(x), -1)[:, :3], linear(nnx.Rngs(3)))
    optimizer = optax.adam(0.1)

    def loss(model: Any, batch: Any) -> jax.Array:
        return jnp.mean(model(batch["x"]) ** 2)

    task = make_task(DIGITS, model=module, loss=loss, optimizer=optimizer)
    assert task.optimizer is optimizer
    leaves = jax.tree.leaves(task.init(jax.random.key(9)))
    expected = jax.tree.leaves(nnx.to_pure_dict(nnx.state(module)))
    jax.tree.map(np.testing.assert_array_equal, leaves, expected)
    assert list(holds_together(task, digits())) == ["loss"]


def test_a_model_of_the_callers_own_needs_no_data() -> None:
    task = make_task(Scheme("mine", train=Train(optimizer=SGD)), model=linear)
    batch = {"x": jnp.ones((4, 3)), "y": jnp.array([1, 0, 1, 1])}
    assert sorted(holds_together(task, batch)) == ["accuracy", "loss"]


def test_fp64_widens_parameters_and_batches() -> None:
    scheme = Scheme("d", Mlp(width=8), Digits(batch=4), Train(precision="fp64"))
    narrow = make_task(DIGITS).init(KEY)
    with jax.enable_x64(True):
        task = make_task(scheme)
        params = task.init(KEY)
        measures = task.measure(params, digits())
        assert task.loss(params, digits()).dtype == jnp.float64
        holds_together(task, digits())
    assert all(leaf.dtype == jnp.float64 for leaf in jax.tree.leaves(params))
    assert all(value.dtype == jnp.float64 for value in measures.values())
    jax.tree.map(np.testing.assert_array_equal, params, narrow)


def test_fp64_reaches_a_loss_of_the_callers_own() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        assert model.kernel.dtype == batch["x"].dtype == jnp.float64
        assert batch["y"].dtype == jnp.int32
        return jnp.mean(model(batch["x"]))

    batch = {"x": jnp.ones((4, 3)), "y": jnp.zeros(4, jnp.int32)}
    with jax.enable_x64(True):
        holds_together(task_from(linear, loss, SGD, precision="fp64"), batch)


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
def test_parameters_of_another_precision_are_refused(precision: str) -> None:
    def narrow(rngs: nnx.Rngs) -> nnx.Module:
        return nnx.Linear(3, 2, param_dtype=jnp.bfloat16, rngs=rngs)

    message = rf"parameter `bias` .* bfloat16, .*`precision = {precision}`: .*mixed"
    with pytest.raises(ValueError, match=message):
        task_from(narrow, CrossEntropy(), SGD, precision=precision)


def test_wide_parameters_are_refused_in_fp32() -> None:
    with jax.enable_x64(True):
        module = nnx.Linear(3, 2, param_dtype=jnp.float64, rngs=nnx.Rngs(0))
        with pytest.raises(ValueError, match="type float64"):
            task_from(module, CrossEntropy(), SGD)
        task_from(module, CrossEntropy(), SGD, precision="fp64")


def test_fp64_without_x64_is_refused() -> None:
    task = task_from(linear, CrossEntropy(), SGD, precision="fp64")
    with pytest.raises(ValueError, match="jax_enable_x64"):
        task.init(KEY)


@pytest.mark.parametrize(
    ("scheme", "message"),
    [
        (Scheme("s", None, Digits()), "names no model"),
        (Scheme("s", Mlp(), None), "needs the shapes of its data"),
        (Scheme("s", Mlp(), Arrays(file="a.npz")), "needs the shapes of its data"),
        (Scheme("s", Mlp(), Text()), "only `transformer` takes"),
        (Scheme("s", TOKENS, Digits()), "takes rows of tokens"),
        (
            Scheme("s", Mlp(), Digits(), Train(optimizer=Call("adamm"))),
            "no optimizer `adamm`",
        ),
    ],
)
def test_what_does_not_fit_is_refused(scheme: Scheme, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(scheme)


def test_real_targets_have_no_cross_entropy() -> None:
    class Real:
        classes = None

        def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
            x = jax.ShapeDtypeStruct((4, 3), np.dtype(np.float32))
            return {"x": x, "y": x}

    scheme = Scheme("s", Mlp(width=4), Arrays(file="a.npz"))
    with pytest.raises(ValueError, match="use `mean_squared_error`"):
        make_task(scheme, Real())
    train = Train(loss=MeanSquaredError(), optimizer=SGD)
    task = make_task(Scheme("s", Mlp(width=4), scheme.data, train), Real())
    batch = {"x": jnp.ones((4, 3)), "y": jnp.ones((4, 3))}
    assert list(holds_together(task, batch)) == ["loss"]
