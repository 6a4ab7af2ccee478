"""Heads of queries that share keys and values: grouped-query attention."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.parallelism.pieces import Asked, pulled, seen
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import Pipeline, Scheme, Sequence, Tensor, Zero
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.models.transformer import attend
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.pipelines import piped, piped_program, piped_task
from tests.shards import MODEL, cut_program, cut_scheme, task_of, tokens_at

KEY = jax.random.key(0)
SHARED = dataclasses.replace(MODEL, kv_heads=2)
AXES = [
    (),
    (("host", 4, Zero(3)),),
    (("chip", 2, Tensor()),),
    (("lane", 4, Sequence("ring")),),
    (("lane", 2, Sequence("all_to_all")),),
    (("lane", 2, Sequence("ring")), ("chip", 2, Tensor())),
    (("host", 2, Zero(2)), ("chip", 2, Tensor())),
]


@pytest.fixture(autouse=True)
def _in_fp64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("axes", AXES, ids=str)
def test_every_strategy_stays_with_the_reference(axes: Any) -> None:
    scheme = cut_scheme(*axes, model=SHARED)
    pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
    pair.program.certify()
    follow_copies(pair, tokens_at, steps=10, tolerance=1e-10)


def test_stages_of_a_pipeline_take_it() -> None:
    model = dataclasses.replace(SHARED, layers=2)
    scheme = piped(Pipeline("one_f_one_b", microbatches=2), 2, model=model)
    pair = Pair(piped_program(scheme), ReferenceEngine(scheme, piped_task(scheme)))
    pair.program.certify()
    follow_copies(pair, tokens_at, steps=3, tolerance=1e-10)


def test_equal_keys_and_values_of_all_heads_are_shared_ones() -> None:
    shared, whole = (task_of(cut_scheme(model=m)) for m in (SHARED, MODEL))
    params = shared.init(KEY)
    copied = jax.tree.map(jnp.copy, params)
    attention = copied["blocks"]["0"]["attention"]
    q, kv = attention.pop("q")["kernel"], attention.pop("kv")["kernel"]
    repeated = jnp.repeat(kv, MODEL.heads // 2, axis=2)
    kernel = jnp.concatenate([q[:, None], repeated], axis=1)
    attention["qkv"] = {"kernel": kernel}
    found, pull = jax.value_and_grad(shared.loss)(params, tokens_at(0))
    expected, truth = jax.value_and_grad(whole.loss)(copied, tokens_at(0))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    mine = pull["blocks"]["0"]["attention"]["kv"]["kernel"]
    theirs = truth["blocks"]["0"]["attention"]["qkv"]["kernel"][:, 1:]
    summed = theirs.reshape(*mine.shape[:3], -1, mine.shape[3]).sum(axis=3)
    np.testing.assert_allclose(mine, summed, rtol=0, atol=1e-14)


def test_as_many_heads_are_the_fused_layout_of_before() -> None:
    as_many = dataclasses.replace(MODEL, kv_heads=MODEL.heads)
    one, other = (task_of(cut_scheme(model=m)).init(KEY) for m in (as_many, MODEL))
    jax.tree.map(np.testing.assert_array_equal, one, other)


def _drawn(*heads: int) -> list[jax.Array]:
    keys = jax.random.split(KEY, len(heads))
    return [
        jax.random.normal(k, (2, 4, n, 8)) for k, n in zip(keys, heads, strict=True)
    ]


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_pieces_are_those_of_repeated_keys(kv_heads: int) -> None:
    q, k, v, back = _drawn(4, kv_heads, kv_heads, 4)
    many = [jnp.repeat(each, 4 // kv_heads, axis=2) for each in (k, v)]
    jax.tree.map(np.testing.assert_allclose, seen(q, k, v), seen(q, *many))
    logs, drift = jax.random.normal(KEY, (2, 2, 4, 4))
    asked = Asked(q, logs, back, drift)
    by_q, by_kv = pulled(asked, k, v)
    by_q_many, by_many = pulled(asked, *many)
    np.testing.assert_allclose(by_q, by_q_many, atol=1e-12)
    for mine, theirs in zip(by_kv, by_many, strict=True):
        summed = theirs.reshape(2, 4, kv_heads, -1, 8).sum(axis=3)
        np.testing.assert_allclose(mine, summed, atol=1e-12)


def test_nothing_is_repeated_in_memory() -> None:
    q, k, v, back = _drawn(4, 1, 1, 4)
    traced = jax.make_jaxpr(lambda *qkv, back: jax.vjp(attend, *qkv)[1](back))(
        q, k, v, back=back
    )
    sizes = [
        out.aval.shape
        for equation in traced.jaxpr.eqns
        for out in equation.outvars
        if equation.primitive.name in ("broadcast_in_dim", "gather", "concatenate")
    ]
    assert (2, 4, 4, 8) not in sizes


def _bytes(axes: Any, model: Any, kind: str) -> int:
    plan = cut_program(cut_scheme(*axes, model=model)).plan
    return sum(
        message.operand_bytes
        for flow in plan.flows
        for message in flow.messages
        if message.kind == kind
    )


def test_a_ring_passes_round_the_keys_that_there_are() -> None:
    axes = (("lane", 2, Sequence("ring")),)
    few, all_of_them = (_bytes(axes, m, "collective-permute") for m in (SHARED, MODEL))
    assert 2 * few == all_of_them


def test_an_all_to_all_turns_the_keys_that_there_are() -> None:
    axes = (("lane", 2, Sequence("all_to_all")),)
    few, all_of_them = (_bytes(axes, m, "all-to-all") for m in (SHARED, MODEL))
    assert few / all_of_them == (1 + 1 + 2 * 0.5) / 4


def test_tensor_cuts_both_kinds_of_heads() -> None:
    plan = cut_program(cut_scheme(("chip", 2, Tensor()), model=SHARED)).plan
    cuts = {tensor.path: tensor.cuts for tensor in plan.tensors}
    assert cuts["blocks/0/attention/q/kernel"] == ((), ("chip",), ())
    assert cuts["blocks/0/attention/kv/kernel"] == ((), (), ("chip",), ())


@pytest.mark.parametrize(
    ("axes", "kv_heads", "code"),
    [
        ((), 3, "D121"),
        ((("chip", 4, Tensor()),), 2, "D092"),
        ((("lane", 4, Sequence("all_to_all")),), 2, "D096"),
        ((("lane", 4, Sequence("ring")),), 2, None),
        ((("lane", 2, Sequence("all_to_all")), ("chip", 2, Tensor())), 4, None),
        ((("lane", 2, Sequence("all_to_all")), ("chip", 2, Tensor())), 2, "D096"),
    ],
)
def test_heads_that_do_not_divide_are_refused(axes: Any, kv_heads: int, code) -> None:
    model = dataclasses.replace(MODEL, kv_heads=kv_heads)
    found = [one.code for one in legality(cut_scheme(*axes, model=model))]
    assert found == ([] if code is None else [code])


def test_a_model_cut_so_is_refused_without_the_checker_too() -> None:
    model = dataclasses.replace(MODEL, kv_heads=1)
    scheme: Scheme = cut_scheme(("chip", 2, Tensor()), model=model)
    with pytest.raises(ValueError, match="4 attention heads cannot share 1 heads"):
        cut_program(scheme)
