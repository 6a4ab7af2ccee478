"""What becomes of the optimizer's state when copies meet."""

import functools
from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest

from diamond.dsl.vocabulary import (
    Average,
    Call,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Scheduled,
    Synchronous,
)
from tests.compiler.programs import checked, program_of, scheme_over
from tests.schemes import tiny_batch

SYNC, NONE = Synchronous(), NoCompression()
ADAM = Call("adam", (("learning_rate", 0.01),))


@functools.cache
def _program(*axes):
    scheme = scheme_over(*axes)
    scheme = replace(scheme, train=replace(scheme.train, optimizer=ADAM))
    program = program_of(checked(scheme))
    program.certify()
    return program


def _optimizer(program, steps):
    """Returns the optimizer's state after some steps, a leading dim for the copies."""
    state = program.init(jax.random.key(0))
    for step in range(steps):
        state, _ = program.step(state, tiny_batch(step))
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state.optimizer)]


@pytest.mark.parametrize(
    ("outer", "codec"), [(Average(), NONE), (Nesterov(), Int8(block=8))]
)
def test_states_are_averaged_exactly_when_the_copies_meet(outer, codec) -> None:
    kept = _optimizer(_program((4, Local(3, outer), codec)), 3)
    met = _optimizer(_program((4, Local(3, outer, state="average"), codec)), 3)
    for mine, own in zip(met, kept, strict=True):
        if mine.dtype == np.int32:
            assert mine.tolist() == own.tolist() == [3] * 4
            continue
        assert not (own == own[:1]).all()
        assert (mine == mine[:1]).all()
        np.testing.assert_allclose(mine[0], own.mean(0), rtol=1e-5, atol=1e-8)


def test_states_are_left_alone_between_meetings() -> None:
    kept = _optimizer(_program((4, Local(3), NONE)), 2)
    for state in ("average", "reset"):
        found = _optimizer(_program((4, Local(3, state=state), NONE)), 2)
        assert all(map(np.array_equal, found, kept))


def test_states_begin_afresh_when_the_copies_meet() -> None:
    program = _program((2, Local(3, state="reset"), NONE), (2, SYNC, NONE))
    assert not any(leaf.any() for leaf in _optimizer(program, 3))
    after = _optimizer(program, 4)
    assert [leaf.tolist() for leaf in after if leaf.dtype == np.int32] == [[1, 1]]


@pytest.mark.parametrize("state", ["average", "reset"])
@pytest.mark.parametrize("inside", [False, True])
def test_copies_stay_equal_when_they_are_synchronous_again(state, inside) -> None:
    local = Scheduled(((Local(2, Nesterov(), state=state), 4), (SYNC, None)))
    axis = (2, local, Int8(block=8))
    around = (2, SYNC, NONE)
    program = _program(*((axis, around) if inside else (axis,)))
    run = program.init(jax.random.key(0))
    last = program.plan.members - 1
    for step in range(8):
        run, _ = program.step(run, tiny_batch(step))
        copies = [
            jax.tree.leaves(program.member_params(run, member)) for member in (0, last)
        ]
        assert all(map(np.array_equal, *copies)) == (step in (1, 3, 4, 5, 6, 7))
    for leaf in jax.tree.leaves(run.optimizer):
        assert (np.asarray(leaf) == np.asarray(leaf)[:1]).all()


def test_nested_axes_average_each_over_its_own_copies() -> None:
    program = _program(
        (2, Local(4, state="average"), NONE), (2, Local(2, state="average"), NONE)
    )
    pairs = [leaf for leaf in _optimizer(program, 2) if leaf.dtype != np.int32]
    for leaf in pairs:
        assert (leaf[:, 0] == leaf[:, 1]).all()
        assert not (leaf[0] == leaf[1]).all()
    for leaf in _optimizer(program, 4):
        assert (leaf == leaf[:1, :1]).all()


def test_the_plan_tells_what_averaging_sends_and_does() -> None:
    program = _program((2, Local(3, state="average"), Int8(block=8)))
    sent: Counter[str] = Counter()
    for message in program.plan.exchanges[0].messages:
        sent[message.kind] += message.operand_bytes
    assert sent["all-reduce"] == 2 * 53 * 4
    assert "optimizer's state <- its mean over chip" in str(program.plan.equations)


def test_what_is_begun_afresh_outside_is_not_averaged_before() -> None:
    program = _program(
        (2, Local(4, state="reset"), NONE), (2, Local(2, state="average"), NONE)
    )
    program.certify()
    plan = program.plan
    inner, outer = plan.exchanges
    alone, both = ({inner.name: 0}, {inner.name: 0, outer.name: 0})
    sent = [dict(plan.sent_at(due))[inner] for due in (alone, both)]
    state = [m for m in sent[0] if m.is_state]
    assert sum(m.elements for m in state) == 2 * 53
    assert [m for m in sent[0] if m not in state] == list(sent[1])
    # Two of four steps meet inside, and one of the two outside as well.
    values = sum(m.wire_bytes(2) for m in sent[1])
    extra = sum(m.wire_bytes(2) for m in state)
    steps, due = plan.steps, len(inner.due(plan.steps))
    spared = len(outer.due(plan.steps))
    expected = (values * due + extra * (due - spared)) / steps
    assert plan.wire_bytes()[inner.agreement.axis] == pytest.approx(expected)
