"""What a pipeline holds and sends, and how it is told; against the schedules."""

import dataclasses

import jax
import numpy as np
import pytest

from diamond.compiler.build import build, plan_of
from diamond.compiler.explain import explain
from diamond.compiler.parallelism.schedules.picture import picture
from diamond.compiler.parallelism.schedules.tables import table_of
from diamond.compiler.plan import Plan, busiest
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.emit import format_term
from diamond.dsl.vocabulary import Pipeline, Tensor, Transformer, Zero
from diamond.runtime.tasks import make_task
from tests.pipelines import MODEL, TERMS, piped, piped_program, piped_task
from tests.shards import EXAMPLES, TOKENS, Tokens, tokens_at

FP32 = 4
ROWS, CONTEXT, WIDTH = 2, 16, 16
INPUT = ROWS * CONTEXT * WIDTH * FP32
SMALL = Transformer(layers=2, width=WIDTH, heads=2, context=CONTEXT, expansion=2.0)


class _Rows:
    """Data of so many microbatches of two rows."""

    classes = 16

    def __init__(self, microbatches: int) -> None:
        self.shape = (ROWS * microbatches, CONTEXT)

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        shape = jax.ShapeDtypeStruct(self.shape, np.uint8)
        return {"x": shape, "y": shape}


def _temporary(schedule: str, microbatches: int) -> int:
    term = Pipeline(schedule, microbatches=microbatches)
    scheme = piped(term, 2, model=SMALL, precision="fp32")
    data = _Rows(microbatches)
    program = build(scheme, make_task(scheme, data), data.example_shapes())
    compiled = program.executables.step(frozenset())
    return compiled.memory_analysis().temp_size_in_bytes


def test_gpipe_holds_all_microbatches_and_one_f_one_b_no_more_than_stages() -> None:
    assert _temporary("gpipe", 12) - _temporary("gpipe", 4) == pytest.approx(
        8 * INPUT, rel=0.1
    )
    assert _temporary("one_f_one_b", 12) == _temporary("one_f_one_b", 4)


def _plan(term: Pipeline, stages: int) -> Plan:
    scheme = piped(term, stages, precision="fp32")
    return plan_of(scheme, piped_task(scheme), Tokens().example_shapes())


@pytest.mark.parametrize("microbatches", [2, 8])
def test_gpipe_sends_one_way_at_a_time(microbatches: int) -> None:
    plan = _plan(Pipeline("gpipe", microbatches=microbatches), 4)
    [flow] = plan.flows
    sent = [m for m in flow.messages if m.kind == "collective-permute"]
    activations = EXAMPLES // microbatches * TOKENS * MODEL.width
    assert {m.elements for m in sent} == {activations}
    assert len(sent) == 2 * (microbatches + 4 - 1)


def test_the_ends_are_summed_once_a_step() -> None:
    [flow] = _plan(TERMS["one_f_one_b"], 2).flows
    summed = [m.elements for m in flow.messages if m.kind == "all-reduce"]
    ends = 2 * 16 * MODEL.width + MODEL.width
    assert sum(summed) == ends + 1  # and the loss


def test_a_stage_holds_its_blocks_and_both_ends() -> None:
    plan = _plan(TERMS["gpipe"], 4)
    blocks = sum(t.elements for t in plan.tensors if t.path.startswith("blocks/"))
    held = {each.what: each.bytes for each in plan.memory}
    ends = plan.parameters - blocks
    assert held["parameters"] == (blocks // 4 + ends) * FP32


@pytest.mark.parametrize("schedule", list(TERMS))
def test_the_page_shows_the_ticks(schedule: str) -> None:
    scheme = piped(TERMS[schedule], 2, precision="fp32")
    program = piped_program(scheme)
    page, table = program.explain(), table_of(TERMS[schedule], 2)
    lines = "\n  ".join(picture(table))
    term = format_term(TERMS[schedule])
    assert f"\npipeline over stage\n  {term}\n  {lines}\n" in page
    assert f"{len(table.ticks)} ticks" in page
    assert "over 16 of 16 examples, in 4 microbatches of 4" in page
    assert f"waits in {table.bubble:.1%}" in page
    assert "x collective-permute of f32 (" in page
    held = ", ".join(str(table.held(stage)) for stage in range(2))
    assert f"stage by stage: {held} of" in page
    assert read_plan(print_plan(program.plan)) == program.plan


def test_the_model_comes_back_with_its_own_tree() -> None:
    term = dataclasses.replace(TERMS["interleaved"], microbatches=2)
    scheme = piped(term, 2, precision="fp32")
    program = piped_program(scheme)
    alone = make_task(dataclasses.replace(scheme, mesh=(), parallelism=()), Tokens())
    state = program.init(jax.random.key(0))
    params = alone.init(jax.random.key(0))
    model, expected = program.model(state), alone.module(params)
    tokens = np.arange(TOKENS)[None] % 16
    np.testing.assert_allclose(model(tokens), expected(tokens), rtol=1e-6)
    measured = program.evaluate(state, tokens_at(0))
    losses = alone.measure(params, tokens_at(0))["loss"]
    assert measured["loss"] == pytest.approx(float(losses.mean()), rel=1e-5)
    # Stage 0 holds blocks 0 and 2 of the model, stage 1 blocks 1 and 3.
    stacked = program.params(state)["blocks"]["mlp"]["down"]["kernel"]
    for place, block in enumerate([0, 2, 1, 3]):
        kernel = params["blocks"][str(block)]["mlp"]["down"]["kernel"]
        np.testing.assert_array_equal(stacked[place], kernel)


def test_a_batch_that_does_not_divide_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not divide .* x 3 microbatches"):
        _plan(Pipeline("gpipe", microbatches=3), 2)


def test_blocks_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="4 blocks cannot be cut into 8 stages"):
        piped_task(piped(TERMS["gpipe"], 8))


def test_a_loss_of_the_caller_is_refused() -> None:
    scheme = piped(TERMS["gpipe"], 2, precision="fp32")
    task = make_task(
        scheme, Tokens(), loss=lambda model, batch: 0.0 * model.embed.sum()
    )
    with pytest.raises(
        ValueError, match="takes a model of the language apart together with its loss"
    ):
        plan_of(scheme, task, Tokens().example_shapes())


def _beside(*outer: tuple, schedule: str = "one_f_one_b", stages: int = 2) -> Plan:
    term = dataclasses.replace(TERMS[schedule], microbatches=2)
    scheme = piped(term, stages, *outer, precision="fp32")
    return plan_of(scheme, piped_task(scheme), Tokens().example_shapes())


@pytest.mark.parametrize("schedule", ["gpipe", "one_f_one_b", "zero_bubble"])
def test_stages_sum_what_their_layers_in_parts_make(schedule: str) -> None:
    plan = _beside(("chip", 2, Tensor()), schedule=schedule)
    first, last = (flow for flow in plan.flows if flow.axis == "chip")
    assert (first.stages, last.stages) == ((0,), (1,))
    microbatches, blocks = 2, 2
    whole = EXAMPLES // microbatches * TOKENS * MODEL.width
    # A block sums twice forward, and again where it is computed again, twice back; the
    # first stage also what it looks up, both times that it does.
    assert [m.elements for m in first.messages] == [whole] * (
        microbatches * (blocks * 6 + 2)
    )
    # The last one computes its chunk only in the backward, and has the head: its
    # gradient, and the peak, the sum and the picked logit of the cross entropy.
    numbers = [m.elements for m in last.messages]
    assert numbers.count(whole) == microbatches * (blocks * 4 + 1)
    assert numbers.count(whole // MODEL.width) == 3 * microbatches
    assert len(numbers) == microbatches * (blocks * 4 + 4)


def test_stages_between_the_ends_send_alike() -> None:
    plan = _beside(("chip", 2, Tensor()), stages=4)
    stages = [flow.stages for flow in plan.flows if flow.axis == "chip"]
    assert stages == [(0,), (1, 2), (3,)]
    counted = busiest(plan.flows)
    assert [flow.stages for flow in counted if flow.axis == "chip"] == [(0,)]
    sent = sum(m.operand_bytes for m in plan.flows[0].messages)
    assert plan.wire_bytes()["chip"] == sent  # an all-reduce over two devices
    assert "chip.tensor at stage 1, 2: cuts" in explain(plan)
    assert read_plan(print_plan(plan)) == plan


def test_stage_3_gathers_once_a_step() -> None:
    plan, other = (_beside(("host", 2, Zero(stage))) for stage in (3, 1))
    assert plan.wire_bytes()["host"] == other.wire_bytes()["host"]
    held, whole = (p.memory[0].bytes for p in (plan, other))
    assert held * 2 == whole
