"""A mixture over devices trains as the same mixture on one, share by share."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.compiler.parallelism.cuts import with_cuts
from diamond.compiler.parallelism.expert import capacity_of, imbalance, seats_of
from diamond.compiler.plan import Flow, MeshAxis, TensorSpec
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.vocabulary import (
    Axis,
    Expert,
    Int8,
    Local,
    Nesterov,
    Parallel,
    Pipeline,
    PowerSgd,
    Scheme,
    Sequence,
    Tensor,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.engines.reference.shards import Cutter
from diamond.runtime.engines.reference.vectors import Layout
from diamond.runtime.tasks import make_task
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.experts import EXPERT, MODEL, drawn_mixtures, mixed, mixed_program, task_of
from tests.shards import EXAMPLES, TOKENS, Tokens, tokens_at

STEPS = 10
TOLERANCES = {"fp64": 1e-10, "fp32": 1e-5}
FP32 = 4
PARTS = 10
LANE = ("lane", 2, EXPERT)
FEW = dataclasses.replace(MODEL, layers=1)


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def _hold(scheme: Scheme) -> None:
    """Trains ten steps beside the reference engine."""
    tolerance = TOLERANCES[scheme.train.precision]
    with jax.enable_x64(scheme.train.precision == "fp64"):
        pair = Pair(mixed_program(scheme), ReferenceEngine(scheme, task_of(scheme)))
        pair.program.certify()
        follow_copies(pair, tokens_at, steps=STEPS, tolerance=tolerance)


def _copies(**exchange: Any) -> tuple[str, int, dict[str, Any]]:
    return ("site", 2, exchange)


PAIRS = {
    "zero 1": (("host", 2, Zero(1)), LANE),
    "zero 2": (LANE, ("host", 2, Zero(2))),
    "zero 3": (("host", 2, Zero(3)), LANE),
    "tensor": (LANE, ("chip", 2, Tensor())),
    "all": (("host", 2, Zero(2)), LANE, ("chip", 2, Tensor())),
    "copies": (_copies(), LANE),
    # No cut is a multiple of such blocks, so that each has blocks of its own.
    "int8": (
        _copies(compression=Int8(block=24, feedback=True)),
        ("host", 2, Zero(1)),
        LANE,
    ),
    "powersgd": (_copies(compression=PowerSgd(rank=2)), LANE),
}


def test_four_devices_are_the_reference() -> None:
    _hold(mixed(("lane", 4, EXPERT)))


@pytest.mark.slow
def test_one_device_is_the_reference() -> None:
    _hold(mixed(("lane", 1, EXPERT), model=FEW))


@pytest.mark.parametrize("name", ["zero 3", "tensor", "int8"])
def test_beside_other_axes(name: str) -> None:
    _hold(mixed(*PAIRS[name], model=FEW))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*PAIRS} - {"zero 3", "tensor", "int8"}))
def test_beside_further_axes(name: str) -> None:
    _hold(mixed(*PAIRS[name], model=FEW))


def test_microbatches_are_routed_by_themselves() -> None:
    term = dataclasses.replace(EXPERT, top_k=1)
    _hold(mixed(("lane", 2, term), model=FEW, accumulate=2, remat="block"))


@pytest.mark.slow
def test_a_loose_axis_outside() -> None:
    copies = _copies(consistency=Local(every=2, outer=Nesterov()))
    _hold(mixed(copies, LANE, ("chip", 2, Tensor()), accumulate=2, remat="full"))


@pytest.mark.slow
def test_in_fp32() -> None:
    for axes in (*PAIRS.values(), (("lane", 4, EXPERT),)):
        _hold(mixed(*axes, model=FEW, precision="fp32"))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_drawn_schemes(part: int) -> None:
    for scheme in drawn_mixtures(40)[part::PARTS]:
        _hold(scheme)


def test_devices_do_not_matter_where_shares_are_the_same() -> None:
    spread = mixed(("lane", 4, EXPERT), model=FEW)
    alone = mixed(("lane", 1, EXPERT), model=FEW, accumulate=4)
    with jax.enable_x64(True):
        found = []
        for scheme in (spread, alone):
            program = mixed_program(scheme)
            state = program.init(jax.random.key(0))
            for step in range(STEPS):
                state, metrics = program.step(state, tokens_at(step))
            found.append((np.mean(metrics["loss"]), program.params(state)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-11), *found)


def _sent(flow: Flow, kind: str) -> list[int]:
    return [m.elements for m in flow.messages if m.kind == kind]


@pytest.mark.parametrize(
    ("settings", "directions"),
    [
        ({}, 4),
        ({"remat": "block", "accumulate": 2}, 4),
        # Weights are differentiated by what came from the experts: all is sent again.
        ({"remat": "full"}, 6),
    ],
)
def test_a_block_sends_its_seats_twice_each_way(
    settings: dict[str, Any], directions: int
) -> None:
    program = mixed_program(mixed(("lane", 4, EXPERT), precision="fp32", **settings))
    [flow] = program.plan.flows
    times = settings.get("accumulate", 1)
    room = capacity_of(EXPERT, EXAMPLES // 4 // times * TOKENS)
    seats = EXPERT.experts * room * MODEL.width
    crossing = _sent(flow, "all-to-all")
    assert crossing == [seats] * directions * MODEL.layers * times
    sent = sum(m.wire_bytes(4) for m in flow.messages if m.kind == "all-to-all")
    assert sent == 3 / 4 * directions * MODEL.layers * times * seats * FP32
    whole = [t.elements for t in program.plan.tensors if not t.cuts]
    assert sorted(_sent(flow, "all-reduce")) == sorted(whole)
    program.certify()


def test_a_device_holds_its_experts_and_the_rest() -> None:
    program = mixed_program(mixed(("lane", 4, EXPERT), precision="fp32"))
    plan = program.plan
    experts = sum(t.elements for t in plan.tensors if t.dims[:1] == ("expert",))
    hidden = round(MODEL.width * MODEL.expansion)
    assert experts == MODEL.layers * EXPERT.experts * 3 * MODEL.width * hidden
    held = {each.what: each.bytes for each in plan.memory}
    here = plan.parameters - experts + experts // 4
    assert held["parameters"] == held["gradients"] == here * FP32
    leaves = jax.tree.leaves(program.executables.arrays.params)
    shards = [np.prod(a.sharding.shard_shape(a.shape)) for a in leaves]
    assert sum(shards) == here


def test_a_device_does_its_share_of_the_work() -> None:
    program = mixed_program(mixed(("lane", 4, EXPERT), precision="fp32"))
    compiled = program.executables.step(frozenset()).cost_analysis()["flops"]
    # The optimizer is not in the plan's figure.
    assert program.plan.flops is not None
    updated = 30 * sum(t.elements for t in program.plan.local_tensors)
    assert abs(compiled - program.plan.flops) < 0.1 * compiled + updated


def test_choices_are_seated_in_order_until_there_is_no_room() -> None:
    chosen = jnp.array([[0, 1], [0, 2], [2, 0], [0, 1]])
    seats = seats_of(chosen, experts=3, capacity=2)
    # Seats of expert e are 2e and 2e + 1; 6 is none.
    assert seats.seat_of.tolist() == [[0, 2], [1, 4], [5, 6], [6, 3]]
    assert seats.taken_by.tolist() == [0, 2, 1, 7, 3, 4]
    tokens = jnp.arange(1.0, 5.0)[:, None]
    seated = seats.dispatch(tokens)
    assert seated[..., 0].tolist() == [[1, 2], [1, 4], [2, 3]]
    mixed = seats.combine(seated * 10, jnp.full((4, 2), 0.5))
    assert mixed.ravel().tolist() == [10, 20, 15, 20]


def test_empty_seats_hold_zeros() -> None:
    seats = seats_of(jnp.array([[1], [1]]), experts=2, capacity=2)
    assert seats.dispatch(jnp.ones((2, 1)))[..., 0].tolist() == [[0, 0], [1, 1]]


def test_what_is_seated_is_differentiated_like_a_product() -> None:
    draw = np.random.default_rng(0)
    chosen = jnp.argsort(draw.random((12, 4)))[:, :2]
    seats = seats_of(chosen, experts=4, capacity=4)
    tokens, weights = draw.random((12, 3)), draw.random((12, 2))
    places = jax.nn.one_hot(seats.seat_of, 16)

    def moved(tokens, weights):
        return seats.combine(jnp.sin(seats.dispatch(tokens)), weights)

    def multiplied(tokens, weights):
        seated = jnp.sin(jnp.einsum("tks,tw->sw", places, tokens))
        return jnp.einsum("tk,tks,sw->tw", weights, places, seated)

    with jax.enable_x64(True):
        given = jnp.asarray(tokens), jnp.asarray(weights)
        back = jnp.asarray(draw.random((12, 3)))
        found, pull = jax.vjp(moved, *given)
        expected, truth = jax.vjp(multiplied, *given)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        for mine, theirs in zip(pull(back), truth(back), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize(
    ("term", "tokens", "room"),
    [
        (Expert(experts=4, top_k=2, capacity=1.25), 16, 10),
        (Expert(experts=4, top_k=1, capacity=1.25), 10, 4),
        # 1.1 x 10 is 11 exactly, as it is written.
        (Expert(experts=2, top_k=1, capacity=1.1), 20, 11),
        (Expert(experts=8, top_k=1, capacity=0.01), 8, 1),
        (Expert(experts=4, top_k=2, capacity=50.0), 16, 16),
    ],
)
def test_room(term: Expert, tokens: int, room: int) -> None:
    assert capacity_of(term, tokens) == room


def test_imbalance_is_the_sum_of_the_paper() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.6, 0.1, 0.3], [0.2, 0.5, 0.3]])
    chosen = np.array([[0, 1], [0, 2], [1, 2]])
    named = [2 / 6, 2 / 6, 2 / 6]
    mean = [1.5 / 3, 0.8 / 3, 0.7 / 3]
    truth = 3 * sum(f * p for f, p in zip(named, mean, strict=True))
    found = imbalance(jnp.asarray(probabilities), jnp.asarray(chosen))
    assert float(found) == pytest.approx(truth)
    alone = imbalance(jnp.asarray(probabilities), jnp.asarray(chosen[:, :1]))
    assert float(alone) == pytest.approx(3 * (2 / 3 * 0.5 + 1 / 3 * 0.8 / 3))


def test_an_evaluation_is_that_of_the_reference() -> None:
    scheme = mixed(("host", 2, Zero(3)), LANE)
    with jax.enable_x64(True):
        program = mixed_program(scheme)
        engine = ReferenceEngine(scheme, task_of(scheme))
        state = program.init(jax.random.key(0))
        truth = engine.init(jax.random.key(0))
        # Fewer examples than the program takes at once, which fills up with others.
        batch = {name: rows[:5] for name, rows in tokens_at(0).items()}
        found, expected = program.evaluate(state, batch), engine.evaluate(truth, batch)
    assert found == pytest.approx(expected, rel=1e-12)
    assert 0.2 < found["dropped"] < 0.8


def test_experts_are_cut_before_shards() -> None:
    # Whole, the 8 experts would be the largest dim; four of them are not.
    shape, dims = (8, 6), ("expert", "embed")
    axes = (MeshAxis("lane", 2, strategy=EXPERT), MeshAxis("host", 2, strategy=Zero()))
    [tensor] = with_cuts([TensorSpec("up", shape, "float32", dims)], axes)
    assert tensor.cuts == (("lane",), ("host",))
    cutter = Cutter(zero=2, experts=2, dims={"up": dims})
    cuts = [cut for [cut] in cutter.cuts(Layout(("up",), (shape,)))]
    found = [[(part.start, part.stop) for part in cut] for cut in cuts]
    assert found == [[(e, e + 4), (z, z + 3)] for e in (0, 4) for z in (0, 3)]


def test_a_plan_says_so_and_reads_back() -> None:
    plan = mixed_program(mixed(LANE, model=FEW, precision="fp32")).plan
    assert read_plan(print_plan(plan)) == plan
    assert "+ 0.1 imbalance of experts" in plan.equations[0]
    assert plan.equations[1:4] == (
        "T tokens of 8 examples are routed together, each to 2 of 4 experts",
        "an expert takes ceil(0.75 x 2 T/4) of them, T at most",
        "g <- mean over lane of g",
    )


def test_a_model_or_a_loss_of_the_callers_own_is_refused() -> None:
    scheme = mixed(("lane", 1, EXPERT))
    for own in ({"model": lambda rngs: None}, {"loss": lambda model, batch: 0.0}):
        with pytest.raises(ValueError, match="leave the model and the loss"):
            make_task(scheme, Tokens(), **own)


def test_stages_with_experts_are_refused() -> None:
    scheme = mixed(LANE, ("stage", 2, Pipeline()))
    with pytest.raises(ValueError, match="does not go with `pipeline`"):
        make_task(scheme, Tokens())


def test_a_task_that_knows_no_experts_is_refused() -> None:
    scheme = mixed(LANE, precision="fp32")
    task = task_of(scheme)._replace(spread=None)
    with pytest.raises(ValueError, match="`expert over lane` cuts the experts"):
        build(scheme, task, Tokens().example_shapes())


def test_the_reference_refuses_what_has_no_meaning() -> None:
    scheme = mixed(LANE, ("chip", 2, Sequence("ring")), precision="fp32")
    with pytest.raises(ValueError, match="`expert` beside these"):
        ReferenceEngine(scheme, task_of(scheme))


def test_an_axis_of_one_device_has_all_experts() -> None:
    alone = Scheme(
        "alone",
        model=FEW,
        mesh=(Axis("lane", 1),),
        parallelism=(Parallel(EXPERT, "lane"),),
    )
    program = build(alone, make_task(alone, Tokens()), Tokens().example_shapes())
    assert program.plan.flows == ()
    assert not any(tensor.cuts for tensor in program.plan.tensors)
