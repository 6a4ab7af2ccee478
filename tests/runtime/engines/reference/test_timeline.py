"""Which choices hold at which step, and how many exchanges there were."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    AllReduce,
    Axis,
    Cast,
    Dgc,
    Elastic,
    Gossip,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Pipelined,
    PowerSgd,
    Replicas,
    Scheduled,
    Scheme,
    Sign,
    Synchronous,
)
from diamond.runtime.engines.reference import stages
from diamond.runtime.engines.reference.compression.dgc import Corrected
from diamond.runtime.engines.reference.timeline import axes_of
from tests.runtime.engines.reference.runs import (
    On,
    engine_of,
    members,
    run,
    then,
    trained,
)

SYNC, NONE = Synchronous(), NoCompression()
DILOCO = Nesterov(lr=0.7, momentum=0.9)


def axis_of(**choices):
    block = Replicas("a", **choices)
    (axis,) = axes_of(Scheme("s", mesh=(Axis("a", 2),), replicas=(block,)))
    return axis


def test_the_time_line_is_cut_at_every_change():
    axis = axis_of(
        centralization=then(AllReduce(), 9, AllReduce(algorithm="two_phase")),
        consistency=then(SYNC, 3, Local(2)),
        compression=Scheduled(((NONE, 3), (Int8(), 1), (Cast(), None))),
    )
    seen = [(c.start, c.rule, c.rule_start, c.compression) for c in axis.clauses]
    assert seen == [
        (0, 0, 0, NONE),
        (3, 1, 3, Int8()),
        (4, 1, 3, Cast()),
        (9, 1, 3, Cast()),
    ]
    assert [c.codec_start for c in axis.clauses] == [0, 3, 4, 4]
    assert [t for t in range(10) if axis.at(t).is_due(t)] == [0, 1, 2, 4, 6, 8]


def test_a_member_s_place_outside_is_row_major():
    mesh = (Axis("pod", 2), Axis("site", 3), Axis("host", 2))
    blocks = tuple(Replicas(axis.name) for axis in mesh)
    places = [
        [axis.outside_of(member) for member in range(12)]
        for axis in axes_of(Scheme("s", mesh=mesh, replicas=blocks))
    ]
    assert places[0] == [0] * 12
    assert places[1] == [0] * 6 + [1] * 6
    assert places[2] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize(
    ("rule", "parts"),
    [(SYNC, 1), (Local(3), 1), (Elastic(2), 1), (Local(6, fragments=3), 3)],
)
def test_exchanges_are_counted_from_the_beginning_of_a_memory(rule, parts):
    choices = {"compression": then(Cast(), 4, Int8())}
    if not isinstance(rule, Elastic):
        choices["consistency"] = then(SYNC, 1, rule)
    else:
        choices["consistency"] = rule
    axis = axis_of(**choices)
    for part in range(parts):
        done = {clause.index: 0 for clause in axis.clauses}
        for step in range(25):
            clause = axis.at(step)
            part_here = min(part, clause.parts - 1)
            assert clause.count(step, part_here) == done[clause.memory]
            done[clause.memory] += clause.is_due(step, part_here)


def test_what_a_codec_remembers_lasts_while_it_is_of_the_same_thing():
    """Of gradients, through rules and algorithms; of ways, as long as their rule."""
    two = AllReduce(algorithm="two_phase")
    axis = axis_of(
        centralization=then(AllReduce(), 2, two),
        consistency=Scheduled(((Pipelined(), 5), (SYNC, 3), (Local(2), None))),
        compression=then(Int8(), 10, Int8()),
    )
    assert [c.start for c in axis.clauses] == [0, 2, 5, 8, 10]
    assert [c.memory for c in axis.clauses] == [0, 0, 0, 3, 4]
    assert [axis.at(t).count(t) for t in (1, 3, 7)] == [1, 3, 7]
    votes = axis_of(
        centralization=then(AllReduce(), 2, AllReduce(reduce="majority")),
        compression=Sign(feedback=False),
    )
    assert [c.memory for c in votes.clauses] == [0, 1]


def test_mixings_are_counted_too():
    axis = axis_of(centralization=Gossip(), consistency=Local(3))
    assert [axis.at(t).count(t) for t in range(7)] == [0, 0, 0, 1, 1, 1, 2]


def test_the_stages_of_a_warm_up():
    warm = Dgc(density=0.001, warmup=9)
    seen = [stages.in_force(warm, step).density for step in range(11)]
    quarter = [0.25] * 2 + [0.0625] * 2 + [0.015625] * 2 + [0.00390625] * 3
    assert seen == [*quarter, 0.001, 0.001]


def test_no_stage_is_sparser_than_the_end():
    warm = Dgc(density=0.05, warmup=8)
    seen = [stages.in_force(warm, step).density for step in range(9)]
    assert seen == [0.25, 0.25, 0.0625, 0.0625, *[0.05] * 5]
    assert stages.in_force(Dgc(density=0.5, warmup=8), 0).density == 0.5


@pytest.mark.usefixtures("x64")
def test_powersgd_is_dense_before_it_starts():
    codec = PowerSgd(rank=1, start=3)
    in_force = [stages.in_force(codec, step) for step in range(5)]
    assert in_force == [*[NONE] * 3, *[PowerSgd(rank=1)] * 2]
    dense = run(On(2), steps=3)
    np.testing.assert_array_equal(run(On(2, codec=codec), steps=3), dense)
    written = then(NONE, 3, PowerSgd(rank=1))
    np.testing.assert_array_equal(
        run(On(2, codec=codec), steps=7), run(On(2, codec=written), steps=7)
    )


@pytest.mark.usefixtures("x64")
def test_the_stages_of_dgc_share_what_it_remembers():
    engine = engine_of(On(2, codec=Dgc(density=0.1, warmup=4)))
    assert len(engine.axes[0].clauses) == 1
    state = trained(engine, 2)
    sent = [m for m in state.codecs[0][0][0][0] if isinstance(m, Corrected)]
    after = trained(engine, 1, state)
    still = [m for m in after.codecs[0][0][0][0] if isinstance(m, Corrected)]
    kept = [
        (old.total != 0) & (new.total != 0)
        for old, new in zip(sent, still, strict=True)
    ]
    assert all(k.any() for k in kept)


@pytest.mark.usefixtures("x64")
def test_a_new_codec_begins_without_residuals_and_the_rule_goes_on():
    rule, codec = Local(2, DILOCO), Int8(4)
    both = engine_of(On(4, rule, then(codec, 4, codec)))
    alone = engine_of(On(4, rule, codec))
    before = trained(alone, 4)
    assert any(r.worker.any() for r in before.codecs[0][0][0])
    assert all(met.momentum.any() for met in before.rules[0][0])
    fresh = alone.from_members(
        before.params, step=4, optimizer=before.optimizer, rules=before.rules
    )
    expected = members(trained(alone, 6, fresh))
    np.testing.assert_array_equal(members(trained(both, 10)), expected)
    assert (members(trained(alone, 10)) != expected).any()


@pytest.mark.usefixtures("x64")
def test_codecs_in_turn_are_each_what_they_are_alone():
    turns = Scheduled(((NONE, 3), (Int8(8), 2), (Cast("fp8_e4m3"), None)))
    state = trained(engine_of(On(4, SYNC, turns)), 8)
    by_hand = None
    for codec, steps in ((NONE, 3), (Int8(8), 2), (Cast("fp8_e4m3"), 3)):
        engine = engine_of(On(4, SYNC, codec))
        if by_hand is not None:
            parts = {"step": by_hand.step, "optimizer": by_hand.optimizer}
            by_hand = engine.from_members(by_hand.params, **parts)
        by_hand = trained(engine, steps, by_hand)
    np.testing.assert_array_equal(members(state), members(by_hand))
