"""A model of the caller's own in a pipeline: equal to the whole one, or refused."""

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import diamond
from diamond.compiler.build import plan_of
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.vocabulary import (
    Int8,
    Local,
    MeanSquaredError,
    Pipeline,
    Sequence,
    Tensor,
    Zero,
)
from diamond.runtime.tasks import make_task
from tests.modules import (
    WIDTH,
    Ladder,
    Mlp,
    Own,
    Stacked,
    hold,
    next_tokens,
    numbers_at,
    squares,
    staged_scheme,
    tokens_at,
)

TERMS = {
    "gpipe": Pipeline("gpipe", microbatches=2),
    "one_f_one_b": Pipeline("one_f_one_b", microbatches=2),
    "interleaved": Pipeline("interleaved", microbatches=2, chunks=2),
    "zero_bubble": Pipeline("zero_bubble", microbatches=2),
}
SYNCHRONOUS: dict[str, Any] = {}
LOCAL = {"consistency": Local(every=2), "compression": Int8()}
SCHEME = staged_scheme(TERMS["one_f_one_b"], 2)


@pytest.fixture(autouse=True)
def _in_fp64() -> Iterator[None]:
    with jax.enable_x64(True):
        yield
    jax.clear_caches()


def compiled(own: Own, schedule: str, *outer: Any, **train: Any) -> Program:
    scheme = staged_scheme(TERMS[schedule], 2, *outer, **train)
    return diamond.compile(
        scheme, model=own.model, loss=own.loss, batch=own.batch_at(0)
    )


SHAPES = {
    name: jax.ShapeDtypeStruct(array.shape, array.dtype)
    for name, array in numbers_at(0).items()
}


def task_of(own: Own) -> Task:
    scheme = staged_scheme(TERMS["gpipe"], 2)
    return make_task(scheme, model=own.model, loss=own.loss, shapes=SHAPES)


LADDER = Own(Ladder, squares, numbers_at, ())
LONG = Own(functools.partial(Ladder, blocks=4), squares, numbers_at, ())
TOKENS = Own(Stacked, next_tokens, tokens_at, ())
LANGUAGE = TOKENS._replace(loss=None)


@pytest.mark.parametrize(
    ("own", "schedule", "outer"),
    [
        (LADDER, "one_f_one_b", (("site", 2, LOCAL),)),
        (LONG, "interleaved", (("site", 2, SYNCHRONOUS),)),
        (LADDER, "zero_bubble", ()),
        pytest.param(LADDER, "gpipe", (("host", 2, Zero(3)),), marks=pytest.mark.slow),
    ],
)
def test_it_trains_as_the_whole_model_does(
    own: Own, schedule: str, outer: tuple[Any, ...]
) -> None:
    certificate = hold(compiled(own, schedule, *outer), own)
    axes = {"stage", *(axis for axis, *_ in outer)}
    assert {row.axis for row in certificate.rows} == axes


@pytest.mark.slow
@pytest.mark.parametrize("schedule", list(TERMS))
@pytest.mark.parametrize("outer", [(), (("site", 2, LOCAL),)], ids=["alone", "copies"])
@pytest.mark.parametrize("own", [TOKENS, LANGUAGE], ids=["own loss", "language"])
def test_tokens_train_as_in_the_whole_model(
    own: Own, schedule: str, outer: tuple[Any, ...]
) -> None:
    hold(compiled(own, schedule, *outer), own)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", list(TERMS))
def test_microbatches_of_microbatches(schedule: str) -> None:
    hold(compiled(LONG, schedule, ("site", 2, SYNCHRONOUS), accumulate=2), LONG)


class Tied(Ladder):
    """Both ends have one matrix."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.head.kernel = self.embed.kernel


def test_ends_may_share_parameters() -> None:
    own = LADDER._replace(model=Tied)
    program = compiled(own, "gpipe")
    assert "kernel" not in program.init(jax.random.key(0)).params["head"]
    hold(program, own)


def test_a_module_that_was_made_before_keeps_its_weights() -> None:
    model = Ladder(nnx.Rngs(3))
    task = task_of(LADDER._replace(model=model))
    assert task.module is not None
    x = numbers_at(0)["x"]
    found = task.module(task.init(jax.random.key(0)))(x)
    np.testing.assert_allclose(found, model(x), rtol=1e-12)


def test_a_stage_keeps_its_blocks_and_no_others() -> None:
    scheme = staged_scheme(TERMS["gpipe"], 2)
    plan = plan_of(scheme, task_of(LONG), SHAPES)
    tensors = {tensor.path: tensor for tensor in plan.tensors}
    assert tensors["blocks/up/kernel"].shape == (4, WIDTH, 16)
    assert tensors["blocks/up/kernel"].cuts == (("stage",), (), ())
    assert tensors["head/kernel"].cuts == ()


@pytest.mark.slow
def test_rounded_parameters_lead_near_the_same_place() -> None:
    def trained(precision: str) -> float:
        program = compiled(
            LADDER, "one_f_one_b", precision=precision, loss=MeanSquaredError()
        )
        state = program.init(jax.random.key(0))
        for step in range(5):
            state, metrics = program.step(state, numbers_at(step))
        return float(np.mean(metrics["loss"]))

    exact = trained("fp64")
    assert trained("bf16") == pytest.approx(exact, rel=0.02)
    assert trained("bf16") != exact


def code_of(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(SchemeError) as refusal:
        make()
    [one] = refusal.value.diagnostics
    return one.code, one.message


def refused(
    model: Any, loss: Any = squares, batch_at: Any = numbers_at, scheme: Any = SCHEME
) -> tuple[str, str]:
    return code_of(
        lambda: diamond.compile(scheme, model=model, loss=loss, batch=batch_at(0))
    )


class NoHead(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.embed = nnx.Linear(WIDTH, WIDTH, rngs=rngs)
        self.blocks = nnx.Linear(WIDTH, WIDTH, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.blocks(self.embed(x))


class Matrix(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.embed = nnx.Param(jnp.ones((WIDTH, WIDTH)))


class OneBlock(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.blocks[1].up = self.blocks[0].up


class Between(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.blocks[1].down.bias = self.head.bias


class Outside(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.scale = nnx.Param(jnp.ones(WIDTH))


class Twice(Ladder):
    def __call__(self, x: jax.Array) -> jax.Array:
        return super().__call__(x) + self.embed(x)


class Backwards(Ladder):
    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.embed(x)
        for block in list(self.blocks)[::-1]:
            x = block(x)
        return self.head(x)


class Constant(nnx.Module):
    def __init__(self, place: int, rngs: nnx.Rngs) -> None:
        self.inner, self.scale = Mlp(rngs), jnp.full(WIDTH, place + 1.0)

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.scale * self.inner(x)


class Depths(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.blocks = nnx.List([Constant(place, rngs) for place in range(2)])


class Wider(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.blocks[1].up = nnx.Linear(WIDTH, 24, rngs=rngs)
        self.blocks[1].down = nnx.Linear(24, WIDTH, rngs=rngs)


class Summing(Ladder):
    def __init__(self, rngs: nnx.Rngs) -> None:
        super().__init__(rngs)
        self.blocks = nnx.List([Narrowing(rngs) for _ in range(2)])


class Narrowing(Mlp):
    def __call__(self, x: jax.Array) -> jax.Array:
        return super().__call__(jnp.broadcast_to(x, (2, WIDTH)))[:1]


@pytest.mark.parametrize(
    ("model", "code", "words"),
    [
        (NoHead, "D123", "`blocks` of `NoHead` is a `Linear`, and no list of modules"),
        (NoHead, "D123", "`NoHead` has no `head`"),
        (Matrix, "D123", "`embed` of `Matrix` is a `Param`, which is no module"),
        (OneBlock, "D123", "`blocks/0/up/bias` and `blocks/1/up/bias`"),
        (Between, "D123", "`head/bias` and `blocks/1/down/bias`"),
        (Outside, "D123", "`scale` of `Outside` is in no part"),
        (Twice, "D123", "the same numbers give other outputs"),
        (Backwards, "D123", "the same numbers give other outputs"),
        (Depths, "D123", "the same numbers give other outputs"),
        (Wider, "D124", "`blocks/1/down/kernel` is float32[24, 8]"),
        (Summing, "D124", "makes float64[1, 8] of float64[2, 8]"),
        (functools.partial(Ladder, blocks=3), "D101", "3 blocks cannot be spread"),
    ],
)
def test_what_is_no_stack_is_refused(model: Any, code: str, words: str) -> None:
    found, message = refused(model)
    assert found == code
    assert words in message


class Recomputed(Ladder):
    """Its call is the same, in other operations."""

    def __call__(self, x: jax.Array) -> jax.Array:
        x = self.embed(x)
        for block in self.blocks:
            x = nnx.remat(lambda block, x: block(x))(block, x)
        return self.head(x)


def test_a_call_may_be_written_otherwise() -> None:
    task_of(LADDER._replace(model=Recomputed))


def decayed(model: Any, batch: Any) -> jax.Array:
    return squares(model, batch) + jnp.sum(model.head.kernel[...] ** 2)


def decayed_whole(model: Any, batch: Any) -> jax.Array:
    weights = jax.tree.leaves(nnx.state(model, nnx.Param))
    return squares(model, batch) + sum(jnp.sum(weight**2) for weight in weights)


def doubled(model: Any, batch: Any) -> jax.Array:
    return squares(model, batch) + squares(model, batch)


def uncalled(model: Any, batch: Any) -> jax.Array:
    return jnp.mean(batch["x"])


def within(model: Any, batch: Any) -> jax.Array:
    rows = jax.vmap(lambda x: model(x))(batch["x"])
    return jnp.mean((rows - batch["y"]) ** 2)


def mapped(model: Any, batch: Any) -> jax.Array:
    return jnp.mean((jax.vmap(model)(batch["x"]) - batch["y"]) ** 2)


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (decayed, "your loss reads `head` of the model"),
        (decayed_whole, "your loss fails"),
        (doubled, "your loss calls the model more than once"),
        (uncalled, "your loss does not call the model"),
        (mapped, "your loss calls the model inside a transformation of JAX's"),
        (within, "your loss calls the model inside a transformation of JAX's"),
    ],
)
def test_a_loss_that_asks_for_more_is_refused(loss: Any, words: str) -> None:
    code, message = refused(Ladder, loss)
    assert code == "D125"
    assert words in message


def test_a_loss_may_do_what_it_likes_around_the_call() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        x = batch["x"] * batch["weight"][:, None]
        outputs = model(x=x)
        return jnp.mean(batch["weight"] * jnp.mean((outputs - x) ** 2, axis=1))

    def batch_at(step: int) -> dict[str, np.ndarray]:
        batch = numbers_at(step)
        return {"x": batch["x"], "weight": np.abs(batch["y"][:, 0])}

    own = Own(Ladder, loss, batch_at, ())
    hold(compiled(own, "one_f_one_b"), own)


def test_errors_of_the_loss_itself_are_its_own() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        return model(batch["tokens"])

    with pytest.raises(KeyError, match="tokens"):
        compiled(LADDER._replace(loss=loss), "gpipe")


@pytest.mark.parametrize("beside", [Tensor(), Sequence("all_to_all")])
def test_what_cuts_layers_does_not_stand_beside(beside: Any) -> None:
    scheme = staged_scheme(TERMS["gpipe"], 2, ("chip", 2, beside))
    code, message = refused(Stacked, next_tokens, tokens_at, scheme)
    assert code == "D105"
    assert "your own model" in message


def test_shapes_are_needed() -> None:
    with pytest.raises(ValueError, match="needs the batch's `shapes`"):
        make_task(SCHEME, model=Ladder, loss=squares)


def test_one_stage_asks_for_nothing() -> None:
    [axis] = SCHEME.mesh
    scheme = dataclasses.replace(SCHEME, mesh=(dataclasses.replace(axis, size=1),))
    diamond.compile(scheme, model=Mlp, loss=squares, batch=numbers_at(0))
