"""bf16: what is computed in it, and what is not."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from jax.sharding import PartitionSpec

from diamond.compiler.compat import abstract_mesh
from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.precision import carried, product
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.compiler.program import Program
from diamond.dsl.vocabulary import (
    Call,
    ConvNet,
    CrossEntropy,
    Int8,
    Mlp,
    Scheme,
    Sequence,
    Tensor,
    Zero,
)
from diamond.dsl.vocabulary.scheme import Train
from diamond.dsl.vocabulary.training import Digits
from diamond.runtime.data import open_data
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.losses import cross_entropy
from diamond.runtime.models.layers import NORMS
from diamond.runtime.tasks import make_task, task_from
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.experts import EXPERT, mixed, mixed_program
from tests.experts import task_of as mixture_of
from tests.pipelines import MODEL as STAGED
from tests.pipelines import TERMS, piped, piped_program, piped_task
from tests.shards import STRATEGIES, cut_program, cut_scheme, task_of, tokens_at

KEY = jax.random.key(0)
BF16 = jnp.dtype(jnp.bfloat16)
# Half a unit in the last place of bf16 is 2^-9; sums of some tens of them stay below.
ROUNDED = 2e-2
AXES = [(("host", 4, each),) for each in STRATEGIES] + [
    (("host", 2, Zero(3)), ("chip", 2, Tensor())),
    (("site", 2, {"compression": Int8(block=8)}), ("lane", 2, Sequence("ring"))),
]


def _gradients(task: Any, batch: Any) -> Any:
    return jax.jit(jax.grad(task.loss))(task.init(KEY), batch)


def _distance(found: Any, expected: Any) -> float:
    """Returns how far two trees are apart, relative to the second."""
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    apart = [(np.linalg.norm(a - b), np.linalg.norm(b)) for a, b in pairs]
    return float(np.linalg.norm([a for a, _ in apart])) / float(
        np.linalg.norm([b for _, b in apart])
    )


def _dots(program: Program) -> list[str]:
    """Returns the products of a step before XLA takes it."""
    lowered = program.executables.traced(frozenset()).lower().as_text()
    return [line for line in lowered.splitlines() if "dot_general" in line]


def _operands(line: str) -> list[str]:
    types = line.rpartition(" : (")[2].partition(")")[0].split(", ")
    return [each.rpartition("x")[2].rstrip(">") for each in types]


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_every_strategy_is_certified_and_stays_with_the_reference(axes: Any) -> None:
    scheme = cut_scheme(*axes, precision="bf16")
    pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
    pair.program.certify()
    follow_copies(pair, tokens_at, steps=4, tolerance=2e-3)


def test_experts_are_sent_tokens_in_bf16() -> None:
    scheme = mixed(("lane", 2, EXPERT), precision="bf16")
    pair = Pair(mixed_program(scheme), ReferenceEngine(scheme, mixture_of(scheme)))
    sent = {row.kind: row.dtype for row in pair.program.certify().rows}
    assert sent == {"all-to-all": "u16", "all-reduce": "f32"}
    follow_copies(pair, tokens_at, steps=2, tolerance=2e-3)


@pytest.mark.parametrize("schedule", ["one_f_one_b", "zero_bubble"])
def test_stages_pass_on_what_they_make_in_bf16(schedule: str) -> None:
    term = dataclasses.replace(TERMS[schedule], microbatches=2)
    model = dataclasses.replace(STAGED, layers=2)
    outer = ("chip", 2, Tensor())
    scheme = piped(term, 2, outer, model=model, precision="bf16")
    program = piped_program(scheme)
    engine = ReferenceEngine(scheme, piped_task(scheme))
    rows = program.certify().rows
    assert {r.dtype for r in rows if r.kind == "collective-permute"} == {"u16"}
    state, truth = (each.init(KEY) for each in (program, engine))
    for step in range(3):
        state, found = program.step(state, tokens_at(step))
        truth, expected = engine.step(truth, tokens_at(step))
        mean = np.asarray(found["loss"]).mean()
        np.testing.assert_allclose(mean, expected["loss"].mean(), rtol=2e-3)
    kept = jax.tree.leaves((state.params, state.optimizer))
    assert {leaf.dtype.name for leaf in kept} == {"float32", "int32"}


def test_alone_it_is_the_reference() -> None:
    scheme = cut_scheme(precision="bf16")
    pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
    follow_copies(pair, tokens_at, steps=10, tolerance=1e-5)


@pytest.mark.parametrize("axes", [(), *AXES], ids=str)
def test_all_products_of_a_step_take_bf16(axes: Any) -> None:
    scheme = cut_scheme(*[a for a in axes if a[0] != "site"], precision="bf16")
    dots = _dots(cut_program(scheme))
    assert len(dots) > 10
    assert all(_operands(line) == ["bf16", "bf16"] for line in dots)


def test_what_is_kept_and_exchanged_is_fp32() -> None:
    exchange = {"compression": Int8(block=8)}
    scheme = cut_scheme(("site", 2, exchange), ("host", 2, Zero(3)), precision="bf16")
    program = cut_program(scheme)
    arrays = jax.tree.leaves(program.executables.arrays)
    assert {a.dtype for a in arrays if a.dtype.kind == "f"} == {np.dtype("float32")}
    assert {tensor.dtype for tensor in program.plan.tensors} == {"float32"}
    [flow] = program.plan.flows
    assert {(m.kind, m.dtype) for m in flow.messages} == {
        ("all-gather", "u16"),
        ("reduce-scatter", "f32"),
    }
    gradient = _gradients(task_of(scheme), tokens_at(0))
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {np.dtype("float32")}


def test_stage_3_gathers_half_the_bytes_and_as_often() -> None:
    narrow, wide = (
        cut_program(cut_scheme(("host", 4, Zero(3)), precision=precision)).plan.flows[0]
        for precision in ("bf16", "fp32")
    )
    gathered = [
        sum(m.operand_bytes for m in flow.messages if m.kind == "all-gather")
        for flow in (narrow, wide)
    ]
    assert 2 * gathered[0] == gathered[1]


def test_the_plan_says_so_and_bills_the_same() -> None:
    narrow, wide = (
        cut_program(cut_scheme(("host", 2, Zero(2)), precision=precision)).plan
        for precision in ("bf16", "fp32")
    )
    assert 'precision="bf16"' in print_plan(narrow)
    assert read_plan(print_plan(narrow)) == narrow
    assert narrow.memory == wide.memory
    assert narrow.flops == pytest.approx(wide.flops, rel=0.1)


def test_a_gradient_is_that_of_fp32_up_to_rounding() -> None:
    narrow, wide = (
        _gradients(task_of(cut_scheme(precision=precision)), tokens_at(0))
        for precision in ("bf16", "fp32")
    )
    assert 1e-4 < _distance(narrow, wide) < ROUNDED


@pytest.mark.parametrize(
    "model", [Mlp(width=32), ConvNet(channels=8, stages=1, width=32)]
)
def test_digits_are_learnt_as_well(model: Any) -> None:
    reached = {}
    for precision in ("bf16", "fp32"):
        optimizer = Call("adam", (("lr", 0.01),))
        train = Train(optimizer=optimizer, precision=precision, steps=120)
        data = open_data(Digits(batch=128), ".", 0, model)
        task = make_task(Scheme("d", model, Digits(batch=128), train), data)
        reached[precision] = _trained(task, data, train.steps)
    assert reached["fp32"] > 0.93
    assert reached["bf16"] == pytest.approx(reached["fp32"], abs=0.02)


def _trained(task: Any, data: Any, steps: int) -> float:
    params = task.init(KEY)
    state = task.optimizer.init(params)

    @jax.jit
    def step(params: Any, state: Any, batch: Any) -> tuple[Any, Any]:
        updates, state = task.optimizer.update(
            jax.grad(task.loss)(params, batch), state, params
        )
        return optax.apply_updates(params, updates), state

    for number in range(steps):
        params, state = step(params, state, data.batch_at(number))
    held_out = dict(data.held_out())
    return float(task.measure(params, held_out)["accuracy"].mean())


def test_a_transformer_learns_as_well() -> None:
    losses = {}
    for precision in ("bf16", "fp32"):
        scheme = cut_scheme(("host", 2, Zero(3)), precision=precision)
        program = cut_program(scheme)
        state = program.init(KEY)
        for _ in range(60):  # of one batch, which it learns by heart
            state, metrics = program.step(state, tokens_at(0))
        losses[precision] = float(metrics["loss"].mean())
    assert losses["fp32"] < 2.5
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=ROUNDED)


def test_losses_are_taken_from_logits_in_fp32() -> None:
    task = task_of(cut_scheme(precision="bf16"))
    params, batch = task.init(KEY), tokens_at(0)
    assert task.loss(params, batch).dtype == np.dtype("float32")
    traced = str(jax.make_jaxpr(task.loss)(params, batch))
    assert "exp" in traced
    for line in traced.splitlines():
        for name in ("= exp ", "= log ", "= rsqrt ", "reduce_sum["):
            assert not (name in line and "bf16" in line.partition("=")[0])
    logits = jnp.array([[0.0, 300.0]], jnp.bfloat16)
    assert cross_entropy(logits, jnp.array([1])).dtype == np.dtype("float32")


@pytest.mark.parametrize("name", NORMS)
def test_norms_take_their_statistics_in_fp32(name: str) -> None:
    x = 1000.0 + jax.random.normal(KEY, (4, 64))
    x = x.astype(jnp.bfloat16)
    norm = NORMS[name](64)
    narrow, wide = norm(x), norm(x.astype(jnp.float32))
    assert narrow.dtype == BF16
    np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))


def test_gradients_of_a_token_that_is_everywhere_are_added_up_in_fp32() -> None:
    scheme = cut_scheme(precision="bf16")
    batch = {"x": np.zeros((16, 8), np.uint8), "y": np.zeros((16, 8), np.uint8)}
    narrow, wide = (
        _gradients(task_of(s), batch)["embed"]
        for s in (scheme, cut_scheme(precision="fp32"))
    )
    assert np.linalg.norm(narrow - wide) < ROUNDED * np.linalg.norm(wide)


def test_a_product_of_bf16_is_fp32_and_its_gradients_are_bf16() -> None:
    a, b = jnp.ones((2, 256), BF16), jnp.ones((256, 3), BF16) + 1 / 128
    found, pull = jax.vjp(functools.partial(product, "ij,jk->ik"), a, b)
    assert found.dtype == np.dtype("float32")
    np.testing.assert_array_equal(found, 258.0)  # which bf16 does not have
    by_a, by_b = pull(found)
    assert by_a.dtype == by_b.dtype == BF16


def test_what_is_passed_on_crosses_as_bits_and_what_is_added_up_in_fp32() -> None:
    x = jnp.ones((2, 4, 8), BF16)
    group = Group("host", 2, "diamond:host.tensor")

    def inside(x: Any) -> Any:
        return group.leave(x), group.pass_on(x), group.turn(x, 2, 1)

    everywhere = PartitionSpec()
    mapped = jax.shard_map(
        inside,
        mesh=abstract_mesh({"host": 2}),
        in_specs=everywhere,
        out_specs=everywhere,
        check_vma=False,
    )
    traced = str(jax.make_jaxpr(mapped)(x))
    kinds = {
        name: line.partition("=")[0].split(":")[1].split("[")[0]
        for line in traced.splitlines()
        for name in ("psum", "ppermute", "all_to_all")
        if f"= {name}" in line
    }
    assert kinds == {"psum": "f32", "ppermute": "u16", "all_to_all": "u16"}


def test_bits_are_carried_as_they_are() -> None:
    x = jax.random.normal(KEY, (8,)).astype(jnp.bfloat16)
    np.testing.assert_array_equal(carried(jnp.flip, x), jnp.flip(x))
    assert carried(lambda bits: bits, jnp.ones(2)).dtype == np.dtype("float32")


def test_a_model_and_a_loss_of_the_callers_own_get_bf16() -> None:
    def loss(model: Any, batch: Any) -> jax.Array:
        assert model.kernel[...].dtype == batch["x"].dtype == BF16
        assert batch["y"].dtype == np.dtype("int32")
        return jnp.mean(model(batch["x"]))

    task = task_from(
        lambda rngs: nnx.Linear(3, 2, rngs=rngs), loss, optax.sgd(0.1), precision="bf16"
    )
    batch = {"x": jnp.ones((4, 3)), "y": jnp.zeros(4, jnp.int32)}
    gradient = _gradients(task, batch)
    assert {leaf.dtype for leaf in jax.tree.leaves(gradient)} == {np.dtype("float32")}
    assert task.loss(task.init(KEY), batch).dtype == np.dtype("float32")
    assert task.measure(task.init(KEY), batch)["loss"].dtype == np.dtype("float32")
    assert task.module(task.init(KEY)).kernel[...].dtype == np.dtype("float32")


def test_a_model_of_the_callers_own_is_given_inputs_in_bf16() -> None:
    task = task_from(
        lambda rngs: nnx.Linear(3, 2, rngs=rngs),
        CrossEntropy(),
        optax.sgd(0.1),
        precision="bf16",
    )
    batch = {"x": jnp.ones((4, 3)), "y": jnp.zeros(4, jnp.int32)}
    lowered = jax.jit(jax.grad(task.loss)).lower(task.init(KEY), batch).as_text()
    dots = [line for line in lowered.splitlines() if "dot_general" in line]
    assert dots
    assert all(_operands(line) == ["bf16", "bf16"] for line in dots)
