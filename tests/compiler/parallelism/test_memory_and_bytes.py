"""What cut copies hold and send, against the formulas of the papers."""

from typing import Any

import jax
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.compiler.plan import Flow
from diamond.dsl.vocabulary import Sequence, Tensor, Transformer, Zero
from diamond.runtime.tasks import make_task
from tests.shards import EXAMPLES, MODEL, TOKENS, cut_program, cut_scheme

FP32 = 4


def _sent(flow: Flow, kind: str) -> int:
    return sum(m.elements for m in flow.messages if m.kind == kind)


def _arguments(program) -> int:
    """Bytes that a device holds between steps: the arguments of its step."""
    arrays = jax.tree.leaves(program.executables.arrays)
    return sum(
        int(np.prod(a.sharding.shard_shape(a.shape))) * a.dtype.itemsize for a in arrays
    )


def test_stage_3_holds_one_eighth_of_parameters_and_optimizer() -> None:
    alone = cut_program(cut_scheme(precision="fp32"))
    cut = cut_program(cut_scheme(("host", 8, Zero(3)), precision="fp32"))
    whole, eighth = _arguments(alone), _arguments(cut)
    assert abs(eighth / whole - 1 / 8) < 0.05 / 8
    compiled = cut.executables.step(frozenset()).memory_analysis()
    batch = EXAMPLES * TOKENS * 2 // 8
    assert compiled.argument_size_in_bytes == eighth + batch
    held = {each.what: each.bytes for each in cut.plan.memory}
    assert held["parameters"] + held["optimizer"] == eighth


@pytest.mark.parametrize("stage", [1, 2])
def test_earlier_stages_hold_one_eighth_of_the_optimizer(stage: int) -> None:
    program = cut_program(cut_scheme(("host", 8, Zero(stage)), precision="fp32"))
    held = {each.what: each.bytes for each in program.plan.memory}
    values = program.plan.parameters
    assert held["parameters"] == values * FP32
    assert abs(held["optimizer"] / (2 * values * FP32) - 1 / 8) < 0.05 / 8


def test_stages_1_and_2_send_as_much_as_an_all_reduce() -> None:
    for stage in (1, 2):
        plan = cut_program(cut_scheme(("host", 4, Zero(stage)), precision="fp32")).plan
        [flow] = plan.flows
        assert _sent(flow, "reduce-scatter") == plan.parameters
        assert _sent(flow, "all-gather") == plan.parameters // 4
        all_reduce = 2 * 3 / 4 * plan.parameters * FP32
        assert plan.wire_bytes()["host"] == all_reduce


def test_stage_3_gathers_again_what_the_gradient_needs() -> None:
    plan = cut_program(cut_scheme(("host", 4, Zero(3)), precision="fp32")).plan
    [flow] = plan.flows
    [embedding] = [t.elements for t in plan.tensors if t.path == "embed"]
    # No gradient flows through the tokens, so the embedding is gathered once.
    gathered = 2 * plan.parameters - embedding
    assert _sent(flow, "reduce-scatter") == plan.parameters
    assert _sent(flow, "all-gather") == gathered // 4


def test_a_layer_crosses_in_one_message() -> None:
    for stage in (1, 3):
        plan = cut_program(cut_scheme(("host", 4, Zero(stage)), precision="fp32")).plan
        [flow] = plan.flows
        kinds = [message.kind for message in flow.messages]
        # The embedding, a block, the norm and the head.
        layers = MODEL.layers + 3
        assert kinds.count("reduce-scatter") == layers
        assert kinds.count("all-gather") == (2 * layers - 1 if stage == 3 else layers)


def test_a_block_of_tensor_parallel_layers_sums_twice_each_way() -> None:
    plan = cut_program(cut_scheme(("chip", 4, Tensor()), precision="fp32")).plan
    [flow] = plan.flows
    activations = EXAMPLES * TOKENS * MODEL.width
    sums = [m for m in flow.messages if m.elements == activations]
    # Two a block and direction; the embedding's forward, the head's backward.
    assert len(sums) == 4 * MODEL.layers + 2
    # The cross entropy: the peak, the sum of exponentials and the picked logit.
    assert [m.elements for m in flow.messages if m not in sums] == [
        EXAMPLES * TOKENS
    ] * 3


@pytest.mark.parametrize(
    ("method", "kind", "settings", "rows"),
    [
        ("ring", "collective-permute", {}, 6 * 3),
        ("ring", "collective-permute", {"remat": "block", "accumulate": 2}, 6 * 3),
        ("ring", "collective-permute", {"remat": "full"}, 8 * 3),
        ("all_to_all", "all-to-all", {}, 8),
        ("all_to_all", "all-to-all", {"remat": "block", "accumulate": 2}, 8),
        ("all_to_all", "all-to-all", {"remat": "full"}, 12),
    ],
)
def test_a_block_over_tokens_sends_so_many_times_its_queries(
    method: str, kind: str, settings: dict[str, Any], rows: int
) -> None:
    axes = ("lane", 4, Sequence(method))
    program = cut_program(cut_scheme(axes, precision="fp32", **settings))
    [flow] = program.plan.flows
    queries = EXAMPLES * TOKENS // 4 * MODEL.width
    assert _sent(flow, kind) == rows * queries * MODEL.layers
    # The gradient of each parameter is summed once, however many microbatches.
    assert _sent(flow, "all-reduce") == program.plan.parameters
    assert sum(m.elements for m in flow.messages) == (
        _sent(flow, kind) + program.plan.parameters
    )
    program.certify()


def test_gradients_are_summed_over_tokens_in_shards() -> None:
    axes = (("host", 2, Zero(3)), ("lane", 4, Sequence("ring")))
    plan = cut_program(cut_scheme(*axes, precision="fp32")).plan
    gathers, sums = plan.flows
    alone = cut_program(cut_scheme(axes[0], precision="fp32")).plan
    assert gathers.messages == alone.flows[0].messages
    assert _sent(sums, "all-reduce") == plan.parameters // 2
    queries = EXAMPLES // 2 * TOKENS // 4 * MODEL.width
    assert _sent(sums, "collective-permute") == 6 * 3 * queries


class _Long:
    """Rows of many tokens."""

    classes = 16

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        shape = jax.ShapeDtypeStruct((2, 256), np.int32)
        return {"x": shape, "y": shape}


def _temporary(*axes: tuple[str, int, Any], **settings: Any) -> int:
    model = Transformer(layers=1, width=32, heads=16, context=256, expansion=2.0)
    scheme = cut_scheme(*axes, model=model, precision="fp32", **settings)
    program = build(scheme, make_task(scheme, _Long()), _Long().example_shapes())
    step = program.executables.step(frozenset())
    return int(step.memory_analysis().temp_size_in_bytes)


def test_eight_devices_need_one_eighth_for_a_row_of_tokens() -> None:
    alone = _temporary()
    dealt = _temporary(("lane", 8, Sequence("all_to_all")))
    assert abs(8 * dealt / alone - 1) < 0.05
    # A ring does not keep attention's weights at all.
    assert _temporary(("lane", 8, Sequence("ring"))) < alone / 32
