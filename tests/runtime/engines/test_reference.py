"""The oracle against hand-written training loops, without the compiler."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from diamond.compiler.task import Task
from diamond.dsl.vocabulary import (
    AllReduce,
    Axis,
    Cast,
    Gossip,
    Int4,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Parallel,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Tensor,
    Train,
)
from diamond.runtime.engines import reference
from diamond.runtime.engines.reference import ReferenceEngine, codecs, exchange
from diamond.runtime.engines.reference.timeline import axes_of
from diamond.runtime.engines.reference.vectors import flatten
from tests.schemes import (
    OPTIMIZERS,
    catalogue,
    schemes,
    task_of,
    tiny_batch,
    tiny_task,
)

SGD, _, ADAM, _ = OPTIMIZERS
SYNC, NONE = Synchronous(), NoCompression()
DILOCO = Nesterov(lr=0.7, momentum=0.9)


@pytest.fixture
def x64():
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def scheme_of(*axes, optimizer=SGD, precision="fp64"):
    """Builds a scheme from triples (size, consistency, compression)."""
    names = [f"axis{i}" for i in range(len(axes))]
    return Scheme(
        "s",
        train=Train(optimizer=optimizer, steps=50, precision=precision),
        mesh=tuple(Axis(n, a[0]) for n, a in zip(names, axes, strict=True)),
        replicas=tuple(
            Replicas(n, consistency=a[1], compression=a[2])
            for n, a in zip(names, axes, strict=True)
        ),
    )


def engine_of(*axes, optimizer=SGD, precision="fp64"):
    scheme = scheme_of(*axes, optimizer=optimizer, precision=precision)
    return ReferenceEngine(scheme, task_of(scheme))


def trained(engine, steps, state=None):
    state = engine.init(jax.random.key(0)) if state is None else state
    for _ in range(steps):
        state, _ = engine.step(state, tiny_batch(state.step))
    return state


def members(state):
    return np.stack([flatten(tree) for tree in state.params])


def then(first, steps, second):
    return Scheduled(((first, steps), (second, None)))


def plainly_trained(task, steps):
    x = jax.jit(task.init)(jax.random.key(0))
    gradient, remembered = jax.jit(jax.grad(task.loss)), task.optimizer.init(x)
    update = jax.jit(task.optimizer.update)
    for step in range(steps):
        updates, remembered = update(gradient(x, tiny_batch(step)), remembered, x)
        x = optax.apply_updates(x, updates)
    return x


class ByHand:
    """The tiny task as functions of flat vectors, for loops written out by hand."""

    def __init__(self, num_members, optimizer=SGD):
        self.task = tiny_task("fp64", optimizer)
        self.tree = self.task.init(jax.random.key(0))
        start, self.unravel = jax.flatten_util.ravel_pytree(self.tree)
        self.x = [np.asarray(start)] * num_members
        self.states = [self.task.optimizer.init(start)] * num_members
        self.gradient = jax.jit(jax.grad(self._loss))

    def _loss(self, x, batch):
        return self.task.loss(self.unravel(x), batch)

    def gradients(self, step):
        batch, num = tiny_batch(step), len(self.x)
        share = len(batch["x"]) // num
        return [
            np.asarray(
                self.gradient(
                    x, {k: v[i * share : (i + 1) * share] for k, v in batch.items()}
                )
            )
            for i, x in enumerate(self.x)
        ]

    def update(self, gradients):
        for i, g in enumerate(gradients):
            updates, self.states[i] = self.task.optimizer.update(
                g, self.states[i], self.x[i]
            )
            self.x[i] = np.asarray(self.x[i] + updates)


def close(got, expected, tolerance=1e-12):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


# --- what it equals -------------------------------------------------------------


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("size", [1, 8])
def test_synchronous_is_training_on_the_whole_batch(optimizer, size):
    engine = engine_of((size, SYNC, NONE), optimizer=optimizer)
    x = plainly_trained(tiny_task("fp64", optimizer), 20)
    close(members(trained(engine, 20)), np.tile(flatten(x), (size, 1)))


def test_one_member_in_fp32_is_plain_training():
    x = plainly_trained(tiny_task("fp32", ADAM), 20)
    state = trained(engine_of(optimizer=ADAM, precision="fp32"), 20)
    assert members(state).dtype == np.float32
    close(members(state)[0], flatten(x), 1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("codec", [NONE, Cast("bf16"), Int8(8)])
def test_meeting_every_step_under_sgd_is_synchronous(codec):
    local = trained(engine_of((4, Local(1), codec)), 10)
    sync = trained(engine_of((4, SYNC, codec)), 10)
    # A codec sees -lr * g in place of g. A cast keeps its relative error under a
    # scale of 2, so does a float32 scale; the rate here is no power of two.
    close(members(local), members(sync), 1e-12 if codec == NONE else 2e-3)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("codec", [NONE, Int8(8)])
def test_nesterov_without_momentum_is_average(codec):
    outer = Nesterov(lr=1.0, momentum=0.0)
    nesterov = trained(engine_of((4, Local(3, outer), codec), optimizer=ADAM), 12)
    average = trained(engine_of((4, Local(3), codec), optimizer=ADAM), 12)
    close(members(nesterov), members(average))


@pytest.mark.usefixtures("x64")
def test_diloco_on_a_parabola_by_hand():
    # Members at targets 4 and 8, loss (w - target)**2 / 2, sgd(0.5), from w = 0.
    #   steps 1, 2: 0 -> 2 -> 3 and 0 -> 4 -> 6;  d = 0 - 4.5 = -4.5
    #   b = -4.5;      w = 0 + 0.5 * (4.5 + 0.5 * 4.5) = 3.375
    #   steps 3, 4: 3.375 -> 3.6875 -> 3.84375 and 3.375 -> 5.6875 -> 6.84375
    #   d = 3.375 - 5.34375 = -1.96875;  b = -2.25 - 1.96875 = -4.21875
    #   w = 3.375 + 0.5 * (1.96875 + 0.5 * 4.21875) = 5.4140625
    def loss(params, batch):
        return jnp.mean((params["w"] - batch["y"]) ** 2) / 2

    task = Task(
        init=lambda key: {"w": jnp.zeros((), jnp.float64)},
        loss=loss,
        measure=lambda params, batch: {"loss": (params["w"] - batch["y"]) ** 2 / 2},
        report=dict,
        optimizer=optax.sgd(0.5),
        dims={"w": ()},
    )
    rule = Local(every=2, outer=Nesterov(lr=0.5, momentum=0.5))
    engine = ReferenceEngine(scheme_of((2, rule, NONE)), task)
    state, seen = engine.init(jax.random.key(0)), []
    for _ in range(4):
        state, metrics = engine.step(state, {"y": np.array([4.0, 8.0])})
        seen.append([float(x["w"]) for x in state.params])
    assert seen == [[2, 4], [3.375] * 2, [3.6875, 5.6875], [5.4140625] * 2]
    assert metrics["loss"].tolist() == [(3.6875 - 4) ** 2 / 2, (5.6875 - 8) ** 2 / 2]


# --- against loops written out --------------------------------------------------


@pytest.mark.usefixtures("x64")
def test_tight_inside_loose_is_a_double_loop():
    hand = ByHand(4, ADAM)
    anchor, b = hand.x[0], 0.0
    for step in range(9):
        g = hand.gradients(step)
        hand.update([(g[0] + g[1]) / 2] * 2 + [(g[2] + g[3]) / 2] * 2)
        if step % 3 == 2:
            d = anchor - (hand.x[0] + hand.x[2]) / 2
            b = 0.9 * b + d
            anchor = anchor - 0.7 * (d + 0.9 * b)
            hand.x = [anchor] * 4
    engine = engine_of((2, Local(3, DILOCO), NONE), (2, SYNC, NONE), optimizer=ADAM)
    close(members(trained(engine, 9)), hand.x)


@pytest.mark.usefixtures("x64")
def test_loose_inside_loose_is_a_double_loop():
    hand = ByHand(4)
    inner, outer = [hand.x[0]] * 2, hand.x[0]
    inner_b, outer_b = [0.0, 0.0], 0.0
    for step in range(8):
        hand.update(hand.gradients(step))
        if step % 2 == 1:
            for pair in (0, 1):
                d = inner[pair] - (hand.x[2 * pair] + hand.x[2 * pair + 1]) / 2
                inner_b[pair] = 0.5 * inner_b[pair] + d
                inner[pair] = inner[pair] - 0.8 * (d + 0.5 * inner_b[pair])
                hand.x[2 * pair] = hand.x[2 * pair + 1] = inner[pair]
        if step % 4 == 3:
            d = outer - (hand.x[0] + hand.x[2]) / 2
            outer_b = 0.9 * outer_b + d
            outer = outer - 0.7 * (d + 0.9 * outer_b)
            hand.x, inner = [outer] * 4, [outer] * 2
    inside = Local(2, Nesterov(lr=0.8, momentum=0.5))
    engine = engine_of((2, Local(4, DILOCO), NONE), (2, inside, NONE))
    close(members(trained(engine, 8)), hand.x)


@pytest.mark.usefixtures("x64")
def test_synchronous_for_some_steps_then_local():
    hand = ByHand(2)
    anchor, b = None, 0.0
    for step in range(9):
        g = hand.gradients(step)
        if step == 3:
            anchor = hand.x[0]
        hand.update([(g[0] + g[1]) / 2] * 2 if step < 3 else g)
        if step in (4, 6, 8):
            d = anchor - (hand.x[0] + hand.x[1]) / 2
            b = 0.9 * b + d
            anchor = anchor - 0.7 * (d + 0.9 * b)
            hand.x = [anchor] * 2
    engine = engine_of((2, then(SYNC, 3, Local(2, DILOCO)), NONE))
    close(members(trained(engine, 9)), hand.x)


@pytest.mark.usefixtures("x64")
def test_the_inner_axis_exchanges_before_the_outer_one():
    hand, e = ByHand(4), [np.zeros(60), np.zeros(60)]
    for step in range(5):
        g = hand.gradients(step)
        pairs = [_pad_tiny((g[i] + g[i + 1]) / 2)[:60] for i in (0, 2)]
        asked = [p + owed for p, owed in zip(pairs, e, strict=True)]
        given = [_int8_of_fours(p) for p in asked]
        e = [p - c for p, c in zip(asked, given, strict=True)]
        hand.update([_strip_tiny((given[0] + given[1]) / 2)] * 4)
    engine = engine_of((2, SYNC, Int8(4)), (2, SYNC, NONE))
    close(members(trained(engine, 5)), hand.x)


@pytest.mark.usefixtures("x64")
def test_feedback_in_two_phases_by_hand():
    # Four members, so that each serves a quarter: 53 values pad to 60, then to 64.
    hand = ByHand(4)
    e, s = [np.zeros(64)] * 4, np.zeros(64)
    for step in range(6):
        padded = [_pad_tiny(g) for g in hand.gradients(step)]
        asked = [p + owed for p, owed in zip(padded, e, strict=True)]
        given = [_int8_of_fours(p) for p in asked]
        e = [p - c for p, c in zip(asked, given, strict=True)]
        m = sum(c / 4 for c in given) + s
        out = _int8_of_fours(m)
        s = m - out
        hand.update([_strip_tiny(out)] * 4)
    state = trained(engine_of((4, SYNC, Int8(4))), 6)
    close(members(state), hand.x)
    close(np.stack([r.worker for r in state.residuals[0][0]]), e)
    close(np.concatenate([r.server for r in state.residuals[0][0]]), s)


def _pad_tiny(vector):
    """Leaves in order: hidden b [5], hidden w [30], out b [3], out w [15]."""
    leaves = np.split(vector, [5, 35, 38])
    fill = [3, 2, 1, 1 + 4]
    return np.concatenate(
        [np.pad(v, (0, n)) for v, n in zip(leaves, fill, strict=True)]
    )


def _strip_tiny(vector):
    return np.concatenate([vector[:5], vector[8:38], vector[40:43], vector[44:59]])


def _int8_of_fours(p):
    out = np.empty_like(p)
    for at in range(0, len(p), 4):
        scale = float(np.float32(max(abs(p[at : at + 4])) / 127)) or 1.0
        for i in range(at, at + 4):
            out[i] = max(-127, min(127, round(p[i] / scale))) * scale
    return out


# --- schedules ------------------------------------------------------------------


@pytest.mark.usefixtures("x64")
def test_a_new_codec_begins_without_residuals_and_the_rule_goes_on():
    rule, codec = Local(2, DILOCO), Int8(4)
    both = engine_of((4, rule, then(codec, 4, codec)))
    alone = engine_of((4, rule, codec))
    before = trained(alone, 4)
    assert any(r.worker.any() for r in before.residuals[0][0])
    assert all(b.any() for b in before.rules[0][0].momentum)
    fresh = alone.from_members(
        before.params, step=4, optimizer=before.optimizer, rules=before.rules
    )
    expected = members(trained(alone, 6, fresh))
    np.testing.assert_array_equal(members(trained(both, 10)), expected)
    assert (members(trained(alone, 10)) != expected).any()


@pytest.mark.usefixtures("x64")
def test_codecs_in_turn_are_each_what_they_are_alone():
    turns = Scheduled(((NONE, 3), (Int8(8), 2), (Cast("fp8_e4m3"), None)))
    state = trained(engine_of((4, SYNC, turns)), 8)
    by_hand = None
    for codec, steps in ((NONE, 3), (Int8(8), 2), (Cast("fp8_e4m3"), 3)):
        engine = engine_of((4, SYNC, codec))
        if by_hand is not None:
            parts = {"step": by_hand.step, "optimizer": by_hand.optimizer}
            by_hand = engine.from_members(by_hand.params, **parts)
        by_hand = trained(engine, steps, by_hand)
    np.testing.assert_array_equal(members(state), members(by_hand))


def test_the_time_line_is_cut_at_every_change():
    scheme = Scheme(
        "s",
        mesh=(Axis("a", 2),),
        replicas=(
            Replicas(
                "a",
                centralization=then(AllReduce(), 9, AllReduce()),
                consistency=then(SYNC, 3, Local(2)),
                compression=Scheduled(((NONE, 3), (Int8(), 1), (Cast(), None))),
            ),
        ),
    )
    (axis,) = axes_of(scheme)
    seen = [(c.start, c.rule, c.rule_start, c.compression) for c in axis.clauses]
    assert seen == [
        (0, 0, 0, NONE),
        (3, 1, 3, Int8()),
        (4, 1, 3, Cast()),
        (9, 1, 3, Cast()),
    ]
    assert [t for t in range(10) if axis.at(t).is_due(t)] == [4, 6, 8]
    assert [t for t in range(10) if axis.at(t).begins(t)] == [3]


# --- exchange and codecs --------------------------------------------------------

FLOATS = st.floats(-1e3, 1e3, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    num=st.sampled_from([1, 2, 3, 4, 8]),
    codec=st.sampled_from(
        [Int8(4), Int8(16), Cast("fp8_e5m2", feedback=True), Cast(feedback=True)]
    ),
)
def test_with_feedback_nothing_is_lost(data, num, codec):
    sizes, rounds = (5, 3, 9), 3
    values = data.draw(
        hnp.arrays(np.float64, (rounds, num, sum(sizes)), elements=FLOATS)
    )
    start = exchange.start(codec, num, sizes, values[0, 0])
    owed, got = [start] * num, 0
    for row in values:
        mean, owed = exchange.mean(codec, list(row), owed, sizes)
        got = got + mean
    block = codecs.block_of(codec)
    late = sum(r.worker for r in owed) / num
    if num > 2:
        late = late + np.concatenate([r.server for r in owed])
    arrived = got + reference.vectors.strip_leaves(late, sizes, block)
    close(arrived, values.sum(axis=(0, 1)) / num, 1e-9)


@settings(max_examples=100, deadline=None)
@given(
    p=hnp.arrays(
        np.float64, 32, elements=st.floats(-1e30, 1e30, allow_subnormal=False)
    ),
    block=st.sampled_from([1, 4, 32]),
)
def test_int8_is_off_by_half_a_level_at_most(p, block):
    q, scale = codecs.quantise(p, block)
    error = np.abs(codecs.round_trip(Int8(block), p) - p).reshape(-1, block)
    assert q.dtype == np.int8
    assert scale.dtype == np.float32
    assert abs(q.astype(int)).max() <= 127
    # The scale is rounded to float32, which moves 127 levels by 127 half units.
    assert (error <= scale[:, None].astype(float) * (0.5 + 127 * 2.0**-24)).all()


def test_int8_rounds_half_to_even_and_keeps_zero():
    p = np.array([127.0, 0.5, 1.5, -2.5, 0, 0, 0, 0])
    assert codecs.round_trip(Int8(4), p).tolist() == [127, 0, 2, -2, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("to", "dtype"),
    [
        ("bf16", ml_dtypes.bfloat16),
        ("fp16", np.float16),
        ("fp8_e4m3", ml_dtypes.float8_e4m3fn),
        ("fp8_e5m2", ml_dtypes.float8_e5m2),
    ],
)
def test_casts_agree_with_the_types_themselves(to, dtype):
    rng = np.random.default_rng(0)
    p = rng.standard_normal(20_000) * np.exp2(rng.integers(-30, 6, 20_000))
    p = np.concatenate([p, np.arange(4096) / 64, [0, 1e9, -1e9]]).astype(np.float32)
    top = float(ml_dtypes.finfo(dtype).max)
    inside = p if to == "bf16" else np.clip(p, -top, top)
    expected = inside.astype(dtype).astype(np.float32)
    np.testing.assert_array_equal(codecs.round_trip(Cast(to), p), expected)
    np.testing.assert_array_equal(codecs.round_trip(Cast(to), expected), expected)


def test_a_cast_from_fp64_goes_through_float32():
    above = np.array([1 + 2.0**-8 + 2.0**-40])
    assert codecs.round_trip(Cast("bf16"), above) == [1.0]


def test_two_members_gather_and_more_take_two_phases():
    values = [np.array([100.0, 1.4]), np.array([100.0, 1.4])]
    start = exchange.start(Int8(2), 2, (2,), values[0])
    assert start.server is None
    mean, _ = exchange.mean(Int8(2), values, [start] * 2, (2,))
    np.testing.assert_array_equal(mean, codecs.round_trip(Int8(2), values[0]))
    start = exchange.start(Int8(2), 4, (2,), values[0])
    assert (start.worker.size, start.server.size) == (8, 2)


# --- the engine itself ----------------------------------------------------------


@pytest.mark.parametrize("scheme", catalogue(), ids=lambda scheme: scheme.name)
def test_every_scheme_of_the_catalogue_trains(scheme):
    engine = ReferenceEngine(scheme, task_of(scheme))
    before = engine.init(jax.random.key(0))
    state = trained(engine, 10, before)
    assert jax.tree.structure(state) == jax.tree.structure(before)
    assert [np.shape(x) for x in jax.tree.leaves(state)] == [
        np.shape(x) for x in jax.tree.leaves(before)
    ]
    held_out = tiny_batch(1000, 64)
    start, end = (engine.evaluate(s, held_out)["loss"] for s in (before, state))
    assert end < start


@settings(max_examples=30, deadline=None)
@given(scheme=schemes())
def test_members_agree_wherever_an_axis_has_just_met(scheme):
    engine = ReferenceEngine(scheme, task_of(scheme))
    state = engine.init(jax.random.key(0))
    for step in range(6):
        state, metrics = engine.step(state, tiny_batch(step))
        assert metrics["loss"].shape == engine.sizes
        x = members(state).reshape(*engine.sizes, -1)
        assert np.isfinite(x).all()
        met = [a for a in engine.axes if meets(a.at(step), step)]
        for axis in met:
            assert np.ptp(x, axis=axis.index).max() == 0


def meets(clause, step):
    return isinstance(clause.consistency, Synchronous) or clause.is_due(step)


def test_a_step_leaves_its_input_alone():
    engine = engine_of((2, Local(1, DILOCO), Int8(4)), precision="fp32")
    state = trained(engine, 2)
    before = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    first, _ = engine.step(state, tiny_batch(7))
    again, _ = engine.step(state, tiny_batch(7))
    for was, leaf in zip(before, jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(was, leaf)
    np.testing.assert_array_equal(members(first), members(again))


def test_a_state_is_made_again_from_its_parts():
    engine = engine_of((4, Local(2, DILOCO), Int8(4)), precision="fp32")
    state = trained(engine, 3)
    copy = engine.from_members(
        state.params,
        step=state.step,
        optimizer=state.optimizer,
        rules=state.rules,
        residuals=state.residuals,
    )
    np.testing.assert_array_equal(
        members(trained(engine, 3, copy)), members(trained(engine, 3, state))
    )


def test_losses_are_of_the_members_own_shares_before_the_update():
    engine = engine_of((2, SYNC, NONE), (2, SYNC, NONE), precision="fp32")
    state, batch = engine.init(jax.random.key(0)), tiny_batch(0)
    _, metrics = engine.step(state, batch)
    each = engine.task.measure(state.params[0], batch)["loss"]
    assert metrics["loss"].shape == (2, 2)
    close(metrics["loss"].ravel(), np.asarray(each).reshape(4, 4).mean(axis=1), 1e-6)


def test_evaluation_is_at_the_average_of_the_members():
    scheme = scheme_of((2, Local(9), NONE), precision="fp32")
    doubled = task_of(scheme)._replace(report=lambda m: {"double": 2 * m["loss"]})
    engine = ReferenceEngine(scheme, doubled)
    state, batch = trained(engine, 3), tiny_batch(9)
    average = engine.consolidated(state)
    close(flatten(average), members(state).mean(axis=0), 1e-6)
    assert (members(state)[0] != members(state)[1]).any()
    expected = float(engine.task.loss(average, batch))
    assert engine.evaluate(state, batch) == {
        "double": pytest.approx(2 * expected, rel=1e-6)
    }
    np.testing.assert_array_equal(
        flatten(engine.member_parameters(state, 1)), members(state)[1]
    )


# --- what it refuses ------------------------------------------------------------


@pytest.mark.parametrize(
    "axis",
    [
        Replicas("a", centralization=Gossip()),
        Replicas("a", consistency=Local(2, fragments=2)),
        Replicas("a", compression=then(NONE, 3, Int4())),
    ],
)
def test_what_has_no_meaning_yet_is_refused(axis):
    with pytest.raises(ValueError, match="no meaning is written down"):
        axes_of(Scheme("s", mesh=(Axis("a", 2),), replicas=(axis,)))


def test_schemes_that_are_not_only_replicas_are_refused():
    mesh = (Axis("a", 2),)
    with pytest.raises(ValueError, match="axes without replicas"):
        axes_of(Scheme("s", mesh=mesh))
    with pytest.raises(ValueError, match="parallelism"):
        axes_of(Scheme("s", mesh=mesh, parallelism=(Parallel(Tensor(), "a"),)))
    with pytest.raises(ValueError, match="off the mesh"):
        axes_of(Scheme("s", mesh=mesh, replicas=(Replicas("a"), Replicas("b"))))


def test_fp64_is_refused_where_jax_is_without_it():
    with pytest.raises(ValueError, match="jax_enable_x64"):
        engine_of((2, SYNC, NONE), precision="fp64")


def test_a_batch_that_does_not_divide_is_refused():
    engine = engine_of((4, SYNC, NONE), precision="fp32")
    with pytest.raises(ValueError, match="6 examples do not divide by 4 members"):
        engine.step(engine.init(jax.random.key(0)), tiny_batch(0, 6))


def test_leaves_stand_in_the_order_of_their_keys():
    tree = {"b": np.array([3.0]), "a": {"d": np.array([[2.0]]), "c": np.array([1.0])}}
    assert flatten(tree).tolist() == [1, 2, 3]
    back = reference.vectors.unflatten(np.array([4.0, 5.0, 6.0]), tree)
    assert jax.tree.map(float, jax.tree.map(np.squeeze, back)) == {
        "a": {"c": 4, "d": 5},
        "b": 6,
    }


def test_a_tree_of_several_types_is_refused():
    with pytest.raises(ValueError, match="one type"):
        flatten({"a": np.zeros(1, np.float32), "b": np.zeros(1, np.float64)})


def test_it_shares_nothing_with_what_it_judges():
    imported = set()
    for file in Path(reference.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    own = {name for name in imported if name.startswith("diamond.")}
    outside = {n for n in own if not n.startswith("diamond.runtime.engines.reference")}
    assert outside == {"diamond.compiler.task", "diamond.dsl.vocabulary"}
    assert "jax.numpy" not in imported
