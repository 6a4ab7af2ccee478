"""The table of optimizers and schedules against the installed optax."""

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from optax import contrib

from diamond.dsl.vocabulary import schedules
from diamond.dsl.vocabulary.optimizers import (
    LEFT_OUT,
    NO_PLAIN_VALUES,
    OPTIMIZERS,
    SCHEDULES,
    Parameter,
    Signature,
)
from diamond.dsl.vocabulary.training import Call
from diamond.runtime.optimizers import build_optimizer, build_schedule

HOMES: dict[str, ModuleType] = {"optax": optax, "optax.contrib": contrib}
OURS = [row for row in SCHEDULES if row.home == "diamond"]
THEIRS = [row for row in (*OPTIMIZERS, *SCHEDULES) if row.home != "diamond"]
BY_NAME = {row.name: row for row in (*OPTIMIZERS, *SCHEDULES)}
PARAMS = {"w": jnp.ones((4, 3)), "b": jnp.zeros(3)}
# Optax's annotation allows a schedule here, and its code computes with a number.
NUMBERS_IN_FACT = [
    ("novograd", "weight_decay"),
    ("optimistic_gradient_descent", "alpha"),
    ("optimistic_gradient_descent", "beta"),
]
NUMBERS = {"decay_rate": 0.9, "transition_steps": 5, "warmup_steps": 3, "warmup": 3}


def name_of(row: Any) -> str:
    return str(row.name)


def of_optax(row: Signature) -> dict[str, inspect.Parameter]:
    function = getattr(HOMES[row.home], row.name)
    return dict(inspect.signature(function).parameters)


def functions_of(module: ModuleType, wanted: Callable[[Any], bool]) -> set[str]:
    """Returns the names of a module's functions, and of its partial ones."""
    members = {n: getattr(f, "func", f) for n, f in inspect.getmembers(module)}
    functions = {n: f for n, f in members.items() if inspect.isfunction(f)}
    return {name for name, function in functions.items() if wanted(function)}


@pytest.mark.parametrize("row", THEIRS, ids=name_of)
def test_arguments_are_those_of_optax(row: Signature) -> None:
    actual = of_optax(row)
    ours = {parameter.name: parameter for parameter in row.parameters}
    lacking = set(actual) - set(ours)
    assert set(ours) <= set(actual)
    assert lacking <= set(NO_PLAIN_VALUES)
    assert list(ours) == [name for name in actual if name in ours]
    for name in lacking:
        assert actual[name].default is not inspect.Parameter.empty


@pytest.mark.parametrize("row", THEIRS, ids=name_of)
def test_defaults_and_kinds_are_those_of_optax(row: Signature) -> None:
    actual = of_optax(row)
    for parameter in row.parameters:
        default = actual[parameter.name].default
        required = default is inspect.Parameter.empty
        assert parameter.required == required, parameter.name
        if not required:
            same = _plain(default) == parameter.default
            assert same, (parameter.name, default, parameter.default)
        if (row.name, parameter.name) not in NUMBERS_IN_FACT:
            assert parameter.kind in _kinds(actual[parameter.name]), parameter.name


@pytest.mark.parametrize(("name", "argument"), NUMBERS_IN_FACT)
def test_some_numbers_cannot_be_scheduled(name: str, argument: str) -> None:
    call = Call(name, (("lr", 0.1), (argument, Call("cosine", (("peak", 1.0),)))))
    with pytest.raises(ValueError, match="cannot be built"):
        build_optimizer(call, total_steps=10)
    parameters = {p.name: p for p in BY_NAME[name].parameters}
    assert parameters[argument].kind == "number"


def _plain(default: Any) -> Any:
    return "float32" if default is jnp.float32 else default


def _kinds(parameter: inspect.Parameter) -> set[str]:
    """Returns the kinds that an annotation and a default of optax allow."""
    text = str(parameter.annotation)
    if isinstance(parameter.default, bool):
        return {"boolean"}
    if "dtype" in parameter.name or "str" in text.split("Literal")[0][:13]:
        return {"string"}
    if "Literal" in text:
        return {"string"}
    if "Callable" in text:
        return {"schedule"}
    if isinstance(parameter.default, int) or parameter.annotation is int:
        return {"integer"}
    return {"integer"} if parameter.name == "key" else {"number"}


def test_every_optimizer_is_there_or_left_out_with_a_reason() -> None:
    def is_alias(function: Any) -> bool:
        return str(function.__module__) == "optax._src.alias"

    def is_contributed(function: Any) -> bool:
        return not function.__name__.startswith("scale_by")

    here = functions_of(optax, is_alias) | functions_of(contrib, is_contributed)
    named = {row.name for row in OPTIMIZERS}
    assert here == named | set(LEFT_OUT)
    assert not named & set(LEFT_OUT)


def test_every_schedule_is_there_or_left_out_with_a_reason() -> None:
    def is_schedule(function: Any) -> bool:
        home = str(function.__module__)
        return home.startswith("optax.schedules._") and "inject" not in home

    named = {row.name for row in SCHEDULES if row.home == "optax"}
    assert functions_of(optax, is_schedule) == named | set(schedules.LEFT_OUT)


@pytest.mark.parametrize("name", ["lbfgs", "polyak_sgd", "momo", "momo_adam"])
def test_what_needs_the_loss_is_left_out_since_it_does(name: str) -> None:
    function = getattr(optax, name, None) or getattr(contrib, name)
    required = {
        p: 0.1
        for p, value in inspect.signature(function).parameters.items()
        if value.default is inspect.Parameter.empty
    }
    optimizer = function(**required)
    with pytest.raises((TypeError, ValueError)):
        optimizer.update(PARAMS, optimizer.init(PARAMS), PARAMS)


def examples(row: Signature) -> list[Call]:
    """Returns a call with what is required, and one with every argument."""
    needed = [(p.name, _example(p)) for p in row.parameters if p.required]
    full = [(p.name, _full(p)) for p in row.parameters]
    return [Call(row.name, tuple(needed)), Call(row.name, tuple(full))]


def _example(parameter: Parameter) -> Any:
    known = NUMBERS.get(parameter.name)
    fallback = {"schedule": 1e-3, "integer": 10, "string": "float32", "boolean": True}
    return known or fallback.get(parameter.kind, 0.1)


def _full(parameter: Parameter) -> Any:
    if parameter.kind == "schedule":
        return Call("cosine", (("peak", 1e-3),))
    return _example(parameter) if parameter.default is None else parameter.default


@pytest.mark.filterwarnings("ignore:Specifying a key")
@pytest.mark.filterwarnings("ignore:`optimistic_adam` is deprecated")
@pytest.mark.parametrize("row", OPTIMIZERS, ids=name_of)
def test_every_optimizer_takes_two_steps(row: Signature) -> None:
    for call in examples(row):
        optimizer = build_optimizer(call, total_steps=20)
        state, params = optimizer.init(PARAMS), PARAMS
        for _ in range(2):
            updates, state = optimizer.update(PARAMS, state, params)
            params = optax.apply_updates(params, updates)
        assert jax.tree.structure(params) == jax.tree.structure(PARAMS)
        assert all(bool(jnp.isfinite(x).all()) for x in jax.tree.leaves(params))


@pytest.mark.parametrize("row", SCHEDULES, ids=name_of)
def test_every_schedule_is_a_function_of_the_step(row: Signature) -> None:
    for call in examples(row):
        schedule = build_schedule(call, total_steps=20)
        assert all(np.isfinite(float(schedule(step))) for step in (0, 5, 19, 20, 99))


def test_the_short_name_of_the_learning_rate() -> None:
    long, short = (
        build_optimizer(Call("sgd", ((name, 0.5),)), 1)
        for name in ("learning_rate", "lr")
    )
    for optimizer in (long, short):
        updates, _ = optimizer.update(PARAMS, optimizer.init(PARAMS))
        assert updates["w"].tolist() == (-0.5 * PARAMS["w"]).tolist()


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("warmup_cosine", [0, 0.5, 1, 0.5, 0]),
        ("warmup_linear", [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_warm_ups_rise_and_fall(name: str, values: list[float]) -> None:
    call = Call(name, (("peak", 1.0), ("warmup", 4)))
    schedule = build_schedule(call, total_steps=12)
    got = [float(schedule(step)) for step in (0, 2, 4, 8, 12)]
    np.testing.assert_allclose(got, values, atol=1e-6)


@pytest.mark.parametrize("row", OURS, ids=name_of)
def test_short_forms_end_where_they_are_told(row: Signature) -> None:
    warm = tuple((p.name, 0) for p in row.parameters if p.name == "warmup")
    call = Call(row.name, (("peak", 1.0), *warm, ("end", 0.25)))
    schedule = build_schedule(call, total_steps=10)
    ends = [float(schedule(step)) for step in (0, 10, 50)]
    np.testing.assert_allclose(ends, [1, 0.25, 0.25], atol=1e-6)


def test_a_schedule_moves_the_learning_rate() -> None:
    rate = Call("warmup_linear", (("peak", 1.0), ("warmup", 2)))
    optimizer = build_optimizer(Call("sgd", (("lr", rate),)), total_steps=4)
    state, sizes = optimizer.init(PARAMS), []
    for _ in range(5):
        updates, state = optimizer.update({**PARAMS, "b": jnp.ones(3)}, state)
        sizes.append(-float(updates["b"][0]))
    np.testing.assert_allclose(sizes, [0, 0.5, 1, 0.5, 0], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (Call("adamm"), "no optimizer `adamm`"),
        (Call("lbfgs"), "no optimizer `lbfgs`"),
        (Call("cosine", (("peak", 0.1),)), "no optimizer `cosine`"),
        (Call("adam"), "needs its argument `learning_rate`"),
        (Call("adam", (("lr", 0.1), ("beta", 1.0))), "`beta`; it takes lr, b1, b2"),
        (Call("adam", (("lr", 1.0), ("learning_rate", 1.0))), "twice"),
        (Call("adam", (("lr", Call("sgd", (("lr", 0.1),))),)), "no schedule `sgd`"),
        (
            Call(
                "sgd", (("lr", Call("warmup_cosine", (("peak", 1.0), ("warmup", 10)))),)
            ),
            "warm-up of 10 steps does not fit into 10 steps",
        ),
        (
            Call("muon", (("lr", 1.0), ("preconditioning", "nothing"))),
            "`muon` cannot be built: Unknown preconditioning nothing",
        ),
        (Call("adam", (("lr", 0.1), ("mu_dtype", "fp33"))), "`adam` cannot be built"),
    ],
)
def test_what_cannot_be_built_is_refused(call: Call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_optimizer(call, total_steps=10)


def test_names_are_unique() -> None:
    assert len(BY_NAME) == len(OPTIMIZERS) + len(SCHEDULES)
    for row in BY_NAME.values():
        names = [n for p in row.parameters for n in (p.name, p.alias) if n]
        assert len(set(names)) == len(names)
