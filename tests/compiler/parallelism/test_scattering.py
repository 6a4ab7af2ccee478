"""A codec under `zero`: what crosses to the owners of shards, and what is kept."""

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.compiler.exchange.compression.int8 import int8
from diamond.compiler.overlap import Overlapped
from diamond.compiler.plan import Message, Plan
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.legality.finding import Refusal
from diamond.dsl.vocabulary import (
    Cast,
    Ensemble,
    Features,
    Int4,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Pipelined,
    Qsgd,
    Scheme,
    Sequence,
    Sign,
    Tensor,
    Transformer,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from tests import columns, experts, pipelines
from tests.comparison import follow_copies, shadow
from tests.conversion import Pair
from tests.shards import Tokens, cut_program, cut_scheme, task_of, tokens_at

STEPS = 10
INT8 = Int8(block=8)
QSGD = Qsgd(bits=4, bucket=8)
SITE = ("site", 2, {"consistency": Local(every=2, outer=Nesterov())})
CODED = ("site", 2, SITE[2] | {"compression": INT8})
DRAWING = ("host", 2, Zero(3, QSGD))
PLAIN = NoCompression()


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


class Kind(NamedTuple):
    """How schemes over one model are compiled, and what they are trained on."""

    program: Callable[[Scheme], Program]
    task: Callable[[Scheme], Task]
    batch_at: Callable[[int], dict[str, np.ndarray]]


OF_TOKENS = Kind(cut_program, task_of, tokens_at)
OF_STAGES = Kind(pipelines.piped_program, pipelines.piped_task, tokens_at)
OF_EXPERTS = Kind(experts.mixed_program, experts.task_of, tokens_at)
OF_COLUMNS = Kind(columns.columns_program, columns.columns_task, columns.images_at)


def _hold(scheme: Scheme, kind: Kind = OF_TOKENS) -> Program:
    """Trains ten steps beside the reference engine, in fp64."""
    with jax.enable_x64(True):
        pair = Pair(kind.program(scheme), ReferenceEngine(scheme, kind.task(scheme)))
        pair.program.certify()
        follow_copies(pair, kind.batch_at, steps=STEPS, tolerance=1e-10)
    return pair.program


def _stage(stage: int, codec: Any = INT8) -> tuple[str, int, Zero]:
    return "host", 4, Zero(stage, codec)


@pytest.mark.parametrize(
    ("stage", "parts"),
    [
        pytest.param(1, 2, marks=pytest.mark.slow),
        pytest.param(2, 1, marks=pytest.mark.slow),
        (3, 2),
    ],
)
def test_each_stage_trains_as_its_equations_say(stage: int, parts: int) -> None:
    _hold(cut_scheme(_stage(stage), accumulate=parts))


@pytest.mark.slow
@pytest.mark.parametrize(
    "codec",
    [
        Cast("bf16"),
        Cast("fp8_e4m3", feedback=True),
        Int8(block=8, feedback=False),
        Int8(block=8, exclude=("*/kernel",)),
        Int8(block=24),
        Int4(block=8),
        QSGD,
        Sign(block=8),
        Sign(block=24),
    ],
    ids=str,
)
def test_each_codec_trains_as_its_equations_say(codec: Any) -> None:
    _hold(cut_scheme(_stage(3, codec), accumulate=2, remat="block"))


def test_copies_further_out_draw_apart() -> None:
    _hold(cut_scheme(SITE, DRAWING))


BESIDE: dict[str, tuple[Kind, Callable[[], Scheme]]] = {
    "tensor": (OF_TOKENS, lambda: cut_scheme(CODED, DRAWING, ("chip", 2, Tensor()))),
    "inside tensor": (
        OF_TOKENS,
        lambda: cut_scheme(("chip", 2, Tensor()), ("host", 4, Zero(1, Sign(block=8)))),
    ),
    "all_to_all": (
        OF_TOKENS,
        lambda: cut_scheme(_stage(2), ("lane", 2, Sequence("all_to_all"))),
    ),
    "ensemble": (OF_TOKENS, lambda: cut_scheme(("seat", 2, Ensemble()), DRAWING)),
    "pipeline": (
        OF_STAGES,
        lambda: pipelines.piped(
            pipelines.TERMS["one_f_one_b"], 2, CODED, ("host", 2, Zero(2, INT8))
        ),
    ),
    "inside zero 3": (
        OF_STAGES,
        lambda: pipelines.piped(
            pipelines.TERMS["zero_bubble"], 2, DRAWING, accumulate=2
        ),
    ),
    "expert": (
        OF_EXPERTS,
        lambda: experts.mixed(
            ("host", 2, Zero(2, INT8)), ("lane", 2, experts.EXPERT), accumulate=2
        ),
    ),
    "inside expert": (
        OF_EXPERTS,
        lambda: experts.mixed(
            ("lane", 2, experts.EXPERT), DRAWING, ("chip", 2, Tensor()), accumulate=2
        ),
    ),
    "features": (
        OF_COLUMNS,
        lambda: columns.columns_scheme(
            CODED, ("host", 2, Zero(2, Int8(block=4))), ("party", 2, Features())
        ),
    ),
}
QUICK = ("features",)


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in BESIDE],
)
def test_other_strategies_and_exchanges_stand_beside(name: str) -> None:
    kind, scheme = BESIDE[name]
    _hold(scheme(), kind)


@pytest.mark.parametrize(
    "codec", [INT8, pytest.param(QSGD, marks=pytest.mark.slow)], ids=str
)
def test_single_steps_in_fp32_from_the_same_state(codec: Any) -> None:
    """All of the state is compared, and what codecs lost."""
    axes = ("site", 2, {}), ("host", 2, Zero(2, codec))
    scheme = cut_scheme(*axes, precision="fp32")
    pair = Pair(cut_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
    count = shadow(pair, tokens_at, steps=STEPS, tolerance=1e-5)
    assert count.beyond <= 1e-4 * count.entries, count


def test_devices_that_share_shards_stay_equal_bit_for_bit() -> None:
    """What a codec draws is the same for all that hold the same shard of a copy."""
    program = _hold(cut_scheme(("lane", 2, Sequence("ring")), DRAWING))
    with jax.enable_x64(True):
        state = program.init(jax.random.key(0))
        for step in range(3):
            state, _ = program.step(state, tokens_at(step))
    for leaf in jax.tree.leaves(state.params):
        found: dict[str, np.ndarray] = {}
        for shard in leaf.addressable_shards:
            data = np.asarray(shard.data)
            first = found.setdefault(str(shard.index), data)
            np.testing.assert_array_equal(first, data)


def test_steps_that_are_cut_up_keep_what_was_lost() -> None:
    """A mean that is used a step later crosses beside the steps, on other devices."""
    late = ("site", 2, {"consistency": Pipelined(1)})
    scheme = cut_scheme(late, ("host", 2, Zero(2, Int8(block=16))))
    with jax.enable_x64(True):
        task, shapes = task_of(scheme), Tokens().example_shapes()
        pair = Pair(
            build(scheme, task, shapes, overlap=True), ReferenceEngine(scheme, task)
        )
        assert isinstance(pair.program.executables, Overlapped)
        follow_copies(pair, tokens_at, steps=STEPS, tolerance=1e-10)


# Large enough for a block of 128 on each of 4 devices, but for the scales of norms.
MODEL = Transformer(layers=2, width=64, heads=4, context=8, expansion=2.0)
LARGE = {"model": MODEL, "precision": "fp32"}


def _plan(stage: int, codec: Any = PLAIN, **given: Any) -> Plan:
    return cut_program(cut_scheme(_stage(stage, codec), **{**LARGE, **given})).plan


def _sent(plan: Plan, *kinds: str) -> list[Message]:
    [flow] = plan.flows
    return [each for each in flow.messages if each.kind in kinds]


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_integers_cross_with_a_scale_a_block_and_nothing_else(stage: int) -> None:
    block = 128
    plan = _plan(stage, Int8(block=block))
    norms = [t.elements for t in plan.tensors if t.path.endswith("scale")]
    values = plan.parameters - sum(norms)
    swapped = _sent(plan, "all-to-all")
    found = {d: sum(m.elements for m in swapped if m.dtype == d) for d in ("s8", "f32")}
    assert found == {"s8": values, "f32": values // block}
    assert sum(m.elements for m in _sent(plan, "reduce-scatter")) == sum(norms)
    dense = _plan(stage)
    assert _sent(plan, "all-gather") == _sent(dense, "all-gather")
    halves = [
        sum(m.operand_bytes for m in _sent(each, "all-to-all", "reduce-scatter"))
        for each in (dense, plan)
    ]
    assert 3.8 < halves[0] / halves[1] < 4


def test_microbatches_are_added_up_before_they_are_coded() -> None:
    one, two = (_plan(2, INT8, accumulate=n) for n in (1, 2))
    assert one.flows == two.flows


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_gradients_and_what_was_lost_are_billed_whole(stage: int) -> None:
    program = cut_program(cut_scheme(_stage(stage, Int8(block=128)), **LARGE))
    held = {each.what: each.bytes for each in program.plan.memory}
    norms = [t.elements for t in program.plan.tensors if t.path.endswith("scale")]
    values = program.plan.parameters
    assert held["gradients"] == 4 * values
    assert held["host.zero: state of compression"] == 4 * (values - sum(norms))
    kept = ("parameters", "optimizer", "host.zero: state of compression")
    arrays = jax.tree.leaves(program.executables.arrays)
    mine = [np.prod(a.sharding.shard_shape(a.shape)) * a.dtype.itemsize for a in arrays]
    assert sum(mine) == sum(held[name] for name in kept)


def test_without_feedback_nothing_is_kept() -> None:
    plan = _plan(2, Int8(block=128, feedback=False))
    assert not any("compression" in each.what for each in plan.memory)
    assert _sent(plan, "all-to-all") == _sent(_plan(2, Int8(block=128)), "all-to-all")


@pytest.mark.slow
def test_the_gradient_of_stage_3_gathers_again_and_keeps_no_parameter() -> None:
    """The transpose hands the gradient out whole: that much more, and no more."""
    settings: dict[str, Any] = {**LARGE, "remat": "block"}
    settings["model"] = dataclasses.replace(MODEL, layers=6)

    def temporary(codec: Any) -> int:
        program = cut_program(cut_scheme(_stage(3, codec), **settings))
        step = program.executables.step(frozenset())
        return int(step.memory_analysis().temp_size_in_bytes)

    whole = 4 * _plan(3, **settings).parameters
    assert temporary(Int8(block=128)) < temporary(PLAIN) + 0.75 * whole


def test_excluded_and_small_tensors_cross_as_they_are() -> None:
    plan = _plan(2, Int8(block=128, exclude=("embed", "blocks/1/*")))
    note = "cross as they are: 3 with pieces smaller than a block of 128, 7 excluded"
    assert any(note in line for line in plan.equations), plan.equations
    summed = sum(m.elements for m in _sent(plan, "reduce-scatter"))
    left = [
        t.elements
        for t in plan.tensors
        if t.path.startswith(("embed", "blocks/1/")) or t.path.endswith("scale")
    ]
    assert summed == sum(left)


def test_a_codec_that_codes_no_tensor_is_refused() -> None:
    with pytest.raises(Refusal) as refusal:
        _plan(2, Int8(block=10**6))
    [finding] = refusal.value.findings
    assert (finding.code, finding.path) == (
        "D122",
        ("parallelism", "host", "compression"),
    )


def test_over_one_device_nothing_is_coded() -> None:
    plan = cut_program(cut_scheme(("host", 1, Zero(2, INT8)), **LARGE)).plan
    assert not plan.flows


def test_the_plan_reads_back_and_says_what_is_sent() -> None:
    plan = _plan(2, Int8(block=128))
    assert read_plan(print_plan(plan)) == plan
    lines = "\n".join(plan.equations)
    assert "g <- this device's shard of mean over host of C(g + e)" in lines
    assert int8(block=128).equation in lines


@pytest.mark.slow
def test_parameters_in_bf16_leave_gradients_in_fp32() -> None:
    programs = [
        cut_program(cut_scheme(_stage(stage), precision="bf16")) for stage in (2, 3)
    ]
    sent = [_sent(program.plan, "all-to-all") for program in programs]
    assert sent[0] == sent[1]
    assert {m.dtype for m in _sent(programs[1].plan, "all-gather")} == {"u16"}
    losses = []
    for program in programs:
        program.certify()
        state = program.init(jax.random.key(0))
        for step in range(3):
            state, metrics = program.step(state, tokens_at(step))
        losses.append(np.ravel(metrics["loss"]))
    np.testing.assert_allclose(losses[0], losses[1], rtol=2e-2)
