"""Devices that hold columns of the data train as one that has them all."""

from typing import Any

import jax
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.vocabulary import (
    Features,
    Int8,
    Local,
    Mlp,
    Nesterov,
    Scheme,
    Tensor,
    TopK,
    Transformer,
    Zero,
)
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.tasks import make_task
from tests.columns import (
    EXAMPLES,
    MODEL,
    Images,
    columns_program,
    columns_scheme,
    columns_task,
    images_at,
)
from tests.comparison import follow_copies
from tests.conversion import Pair
from tests.shards import Tokens, cut_scheme

PARTIES = ("party", 2, Features())
DILOCO = {
    "consistency": Local(every=2, outer=Nesterov()),
    "compression": Int8(block=8, feedback=True),
}
SPARSE = {"compression": TopK(density=0.1)}
RARE = ("sparse", "zero 1 outside", "zero inside", "tensor outside")
AT_LENGTH = (pytest.mark.slow,)
LAID: dict[str, tuple[tuple[str, int, Any], ...]] = {
    "alone": (("party", 4, Features()),),
    "replicas": (("site", 2, {}), PARTIES),
    "diloco": (("site", 2, DILOCO), PARTIES),
    "sparse": (("site", 2, SPARSE), PARTIES),
    **{f"zero {n} outside": (("host", 2, Zero(n)), PARTIES) for n in (1, 2, 3)},
    "zero inside": (PARTIES, ("host", 2, Zero(3))),
    "tensor inside": (PARTIES, ("chip", 2, Tensor())),
    "tensor outside": (("chip", 2, Tensor()), PARTIES),
    "all": (("site", 2, DILOCO), ("host", 2, Zero(2)), PARTIES),
}


@pytest.fixture(autouse=True)
def _forget_programs():
    yield
    jax.clear_caches()


def _hold(scheme: Scheme) -> None:
    """Trains ten steps beside the reference engine."""
    tolerance = {"fp64": 1e-10, "fp32": 1e-5}[scheme.train.precision]
    with jax.enable_x64(scheme.train.precision == "fp64"):
        engine = ReferenceEngine(scheme, columns_task(scheme))
        pair = Pair(columns_program(scheme), engine)
        pair.program.certify()
        follow_copies(pair, images_at, steps=10, tolerance=tolerance)


@pytest.mark.parametrize(
    "laid", [pytest.param(n, marks=AT_LENGTH * (n in RARE)) for n in LAID]
)
def test_it_is_training_on_one_device(laid: str) -> None:
    _hold(columns_scheme(*LAID[laid]))


@pytest.mark.parametrize("layers", [0, 1])
def test_the_first_layer_may_be_the_last(layers: int) -> None:
    _hold(columns_scheme(PARTIES, model=Mlp(width=8, layers=layers)))


def test_microbatches() -> None:
    _hold(columns_scheme(("host", 2, Zero(2)), PARTIES, accumulate=2))


def test_in_fp32() -> None:
    _hold(columns_scheme(*LAID["zero 3 outside"], precision="fp32"))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize("laid", ["alone", "replicas", "zero 3 outside"])
def test_the_first_products_are_summed_and_nothing_goes_back(
    laid: str, accumulate: int
) -> None:
    axes = LAID[laid]
    scheme = columns_scheme(*axes, precision="fp32", accumulate=accumulate)
    program = columns_program(scheme)
    [flow] = [flow for flow in program.plan.flows if flow.axis == "party"]
    assert {message.kind for message in flow.messages} == {"all-reduce"}
    assert {message.dtype for message in flow.messages} == {"f32"}
    examples = EXAMPLES // program.plan.shares
    assert sum(m.elements for m in flow.messages) == examples * MODEL.width
    certified = [row for row in program.certify().rows if row.axis == "party"]
    assert [row.elements for row in certified] == [examples * MODEL.width]


def test_a_device_gets_its_columns_and_all_targets() -> None:
    scheme = columns_scheme(("party", 4, Features()), precision="fp32")
    program = columns_program(scheme)
    batch = images_at(0)
    placed = program.shard(batch)
    for shard in placed["x"].addressable_shards:
        place = shard.device.id
        mine = batch["x"][:, 2 * place : 2 * place + 2]
        np.testing.assert_array_equal(shard.data, mine)
    for shard in placed["y"].addressable_shards:
        np.testing.assert_array_equal(shard.data, batch["y"])


def test_what_is_whole_stays_equal_bit_for_bit() -> None:
    program = columns_program(
        columns_scheme(("party", 4, Features()), precision="fp32")
    )
    state = program.init(jax.random.key(0))
    for step in range(10):
        state, _ = program.step(state, images_at(step))
    cut = {t.path: t.axes for t in program.plan.tensors}
    assert [path for path, axes in cut.items() if axes] == ["hidden/0/kernel"]
    whole = [x for x in jax.tree.leaves(state[1:]) if x.sharding.is_fully_replicated]
    assert len(whole) >= 3 * (len(cut) - 1)
    for leaf in whole:
        first, *others = (np.asarray(shard.data) for shard in leaf.addressable_shards)
        assert len(others) == 3
        assert all(first.tobytes() == other.tobytes() for other in others)


def test_evaluation_sees_all_columns() -> None:
    scheme = columns_scheme(("party", 4, Features()))
    with jax.enable_x64(True):
        engine = ReferenceEngine(scheme, columns_task(scheme))
        program, key = columns_program(scheme), jax.random.key(0)
        found = program.evaluate(program.init(key), images_at(0))
        expected = engine.evaluate(engine.init(key), images_at(0))
    assert found == pytest.approx(expected, rel=1e-12)


def test_a_plan_says_so_and_reads_back() -> None:
    plan = columns_program(
        columns_scheme(*LAID["zero 2 outside"], precision="fp32")
    ).plan
    assert read_plan(print_plan(plan)) == plan
    assert "8 of 16 examples, 1/2 of the columns of each" in plan.equations[0]


def _shapes(*shape: int) -> dict[str, jax.ShapeDtypeStruct]:
    x = jax.ShapeDtypeStruct((EXAMPLES, *shape), np.float32)
    return {"x": x, "y": jax.ShapeDtypeStruct((EXAMPLES,), np.int32)}


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((6, 3), "cuts 6 rows of 3 values of an example into 4 equal parts: take 4 or"),
        ((7,), "cuts 7 columns of an example into 4 equal parts: take 4 or 8"),
        ((), "`features over party` cuts the columns of examples, and an example's"),
    ],
)
def test_columns_that_do_not_divide_are_refused(shape, message) -> None:
    scheme = columns_scheme(("party", 4, Features()), precision="fp32")
    with pytest.raises(ValueError, match=message):
        build(scheme, columns_task(scheme), _shapes(*shape))


def test_a_model_of_the_callers_own_is_refused() -> None:
    scheme = columns_scheme(("party", 2, Features()), precision="fp32")
    task = columns_task(scheme)._replace(spread=None)
    with pytest.raises(ValueError, match="`features over party` cuts the inputs"):
        build(scheme, task, Images().example_shapes())


def test_tokens_have_no_columns() -> None:
    scheme = cut_scheme(PARTIES, precision="fp32")
    assert isinstance(scheme.model, Transformer)
    with pytest.raises(ValueError, match="tokens of `transformer` have no columns"):
        build(scheme, make_task(scheme, Tokens()), Tokens().example_shapes())
