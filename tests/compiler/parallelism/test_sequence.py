"""Attention over a row of tokens that devices hold between them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec

from diamond.compiler.build import build
from diamond.compiler.compat import abstract_mesh, make_mesh
from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.ring import ring_attention
from diamond.compiler.parallelism.sequence import TokenGroup, zigzag
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.vocabulary import Sequence, Zero
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.models.transformer import attend, rotate
from tests.shards import Tokens, cut_program, cut_scheme, task_of, tokens_at

TOKENS, HEADS, SIZE = 16, 8, 4
SHAPE = (2, TOKENS, HEADS, SIZE)


@pytest.fixture(autouse=True)
def _in_fp64():
    with jax.enable_x64(True):
        yield


def _over(devices: int, method: str):
    """Returns rotated attention over devices, as a function of whole arrays."""
    mesh = make_mesh((devices,), ("host",), jax.devices()[:devices])
    group = TokenGroup("host", devices, method, "diamond:host.sequence")
    spec = PartitionSpec(None, "host")
    order = zigzag(TOKENS, devices) if method == "ring" else np.arange(TOKENS)

    def inside(q, k, v):
        return group.attend(rotate(q, group), rotate(k, group), v, attend)

    mapped = jax.shard_map(
        inside, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False
    )

    def over(q, k, v):
        return mapped(q[:, order], k[:, order], v[:, order])[:, np.argsort(order)]

    return over


def _alone(q, k, v):
    return attend(rotate(q), rotate(k), v)


def _drawn(scale: float = 1.0):
    return [scale * jax.random.normal(jax.random.key(seed), SHAPE) for seed in range(4)]


@pytest.mark.parametrize("method", ["ring", "all_to_all"])
@pytest.mark.parametrize("devices", [2, 4, 8])
def test_it_is_the_attention_of_one_device(devices: int, method: str) -> None:
    *qkv, back = _drawn(3.0)
    found, pull = jax.vjp(jax.jit(_over(devices, method)), *qkv)
    expected, truth = jax.vjp(_alone, *qkv)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    for mine, theirs in zip(pull(back), truth(back), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("method", ["ring", "all_to_all"])
def test_it_bears_large_scores(method: str) -> None:
    q, k, v, back = _drawn()
    over = functools.partial(_over(4, method), 1e4 * q)
    found, pull = jax.vjp(jax.jit(over), 1e4 * k, v)
    np.testing.assert_allclose(found, _alone(1e4 * q, 1e4 * k, v), atol=1e-9)
    assert all(jnp.isfinite(each).all() for each in pull(back))


def test_half_precision_is_summed_in_single() -> None:
    ring = Group("host", 2, "diamond:host.sequence")
    whole = PartitionSpec()
    q, k, v, back = (x.astype(jnp.bfloat16) for x in _drawn())

    def pulled(q, k, v, back):
        out, pull = jax.vjp(lambda *qkv: ring_attention(*qkv, ring), q, k, v)
        return out, *pull(back)

    mapped = jax.shard_map(
        pulled,
        mesh=abstract_mesh({"host": 2}),
        in_specs=whole,
        out_specs=whole,
        check_vma=False,
    )
    traced = jax.make_jaxpr(mapped)(q, k, v, back)
    assert {each.dtype for each in traced.out_avals} == {jnp.dtype(jnp.bfloat16)}
    text = str(traced)
    assert text.count("dot_general[") > 0
    assert text.count("=float32") >= text.count("dot_general[")
    assert "preferred_element_type=None" not in text
    assert "preferred_element_type=bfloat16" not in text


def test_evaluation_sees_tokens_in_their_order() -> None:
    scheme = cut_scheme(("lane", 4, Sequence("ring")))
    program, engine = cut_program(scheme), ReferenceEngine(scheme, task_of(scheme))
    key = jax.random.key(0)
    found = program.evaluate(program.init(key), tokens_at(0))
    expected = engine.evaluate(engine.init(key), tokens_at(0))
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_batch_is_dealt_out_once() -> None:
    program = cut_program(cut_scheme(("lane", 4, Sequence("ring"))))
    states = [program.init(jax.random.key(0)) for _ in range(2)]
    _, found = program.step(states[0], tokens_at(0))
    _, again = program.step(states[1], program.shard(tokens_at(0)))
    np.testing.assert_array_equal(found["loss"], again["loss"])
    assert found["loss"].shape == (4,)


def test_rows_that_do_not_divide_are_refused() -> None:
    scheme = cut_scheme(("lane", 8, Sequence("ring")))
    with pytest.raises(ValueError, match="8 tokens into 16 equal chunks: take 16"):
        cut_program(scheme)


def test_examples_without_tokens_are_refused() -> None:
    scheme = cut_scheme(("lane", 2, Sequence("ring")))
    shapes = {**Tokens().example_shapes(), "z": jax.ShapeDtypeStruct((16,), "f4")}
    with pytest.raises(ValueError, match="`z` is a single value"):
        build(scheme, task_of(scheme), shapes)


def test_a_model_of_the_callers_own_is_refused() -> None:
    scheme = cut_scheme(("lane", 2, Sequence("ring")))
    task = task_of(scheme)._replace(spread=None)
    with pytest.raises(ValueError, match="`sequence over lane` cuts the tokens"):
        build(scheme, task, Tokens().example_shapes())


def test_a_plan_says_so_and_reads_back() -> None:
    axes = (("host", 2, Zero(3)), ("lane", 4, Sequence("ring")))
    plan = cut_program(cut_scheme(*axes)).plan
    assert read_plan(print_plan(plan)) == plan
    assert "8 of 16 examples, 1/4 of the tokens of each" in plan.equations[0]
