"""Every rule in whole programs: nested, scheduled, certified, resumed."""

import functools
from dataclasses import replace

import jax
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.compiler.variants import variants_of
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.vocabulary import (
    Asynchronous,
    Bmuf,
    Call,
    Cast,
    Delays,
    Elastic,
    Hogwild,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Pipelined,
    Scheduled,
    SlowMo,
    StaleSynchronous,
    Synchronous,
)
from tests.compiler.programs import checked, program_of, scheme_over
from tests.schemes import task_of, tiny_batch

SYNC, NONE, INT8 = Synchronous(), NoCompression(), Int8(block=8)
STREAM = Local(6, Nesterov(0.7, 0.9), fragments=2, delay=1, merge=0.25)
RULES = {
    "pipelined": Pipelined(2),
    "stale_synchronous": StaleSynchronous(3, Delays("geometric", 1.0, 4)),
    "asynchronous": Asynchronous(3, "damped"),
    "dc": Asynchronous(2, "dc", 0.1, Delays("constant", 1.0)),
    "hogwild": Hogwild(2),
    "elastic": Elastic(3, 0.8),
    "slowmo": Local(3, SlowMo()),
    "bmuf": Local(2, Bmuf()),
    "average": Local(3, state="average"),
    "reset": Local(3, SlowMo(), state="reset"),
    "fragments": Local(6, fragments=2),
    "streaming": STREAM,
}
STATELESS = Call("sgd", (("learning_rate", 0.05),))
each_rule = pytest.mark.parametrize("name", RULES)


@functools.cache
def _program(name):
    """Returns a program of 2 members with a rule, of 2 synchronous ones each."""
    return program_of(scheme_over((2, RULES[name], INT8), (2, SYNC, NONE)))


def _run(program, state, steps):
    for _ in range(steps):
        state, _ = program.step(state, tiny_batch(int(state.step), program.plan.batch))
    return state


def _leaves(tree):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def _same(one, other):
    return all(map(np.array_equal, _leaves(one), _leaves(other)))


@each_rule
def test_schemes_are_legal_and_their_programs_send_what_the_plan_says(name) -> None:
    program = _program(name)
    checked(program.scheme)
    program.certify()


@each_rule
def test_a_run_goes_on_bit_for_bit_from_the_host_and_compiles_nothing(name) -> None:
    program = _program(name)
    straight = _run(program, program.init(jax.random.key(1)), 13)
    host = jax.tree.map(np.asarray, _run(program, program.init(jax.random.key(1)), 7))
    placed = jax.tree.map(
        lambda leaf, like: jax.device_put(leaf, like.sharding),
        host._replace(step=None),
        program.abstract_state._replace(step=None),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            jax.stages.Lowered, "compile", lambda *a, **k: pytest.fail("compiled")
        )
        resumed = _run(program, placed._replace(step=host.step), 6)
    assert _same(straight, resumed)


@pytest.mark.parametrize(
    ("name", "programs"),
    [
        ("pipelined", 1),
        ("stale_synchronous", 1),
        ("asynchronous", 1),
        ("hogwild", 1),
        ("elastic", 2),
        ("average", 2),
        ("fragments", 3),
        ("streaming", 5),
    ],
)
def test_a_rule_needs_few_programs_however_long_the_run(name, programs) -> None:
    plan = replace(_program(name).plan, steps=500)
    assert len(variants_of(plan)) == programs


@pytest.mark.parametrize(
    "name", ["pipelined", "stale_synchronous", "dc", "hogwild", "elastic", "streaming"]
)
def test_a_rule_that_begins_later_begins_as_at_the_start(name) -> None:
    """Three synchronous steps, then the rule: like the rule from where those led."""
    scheme = scheme_over(
        (2, Scheduled(((SYNC, 3), (RULES[name], None))), NONE), (2, SYNC, NONE)
    )
    scheme = replace(scheme, train=replace(scheme.train, optimizer=STATELESS))
    later = program_of(scheme)
    begun = _run(later, later.init(jax.random.key(0)), 3)
    x = jax.tree.map(np.asarray, later.params(begun))
    alone = replace(
        scheme, replicas=(replace(scheme.replicas[0], consistency=RULES[name]),)
    )
    alone = replace(alone, replicas=(*alone.replicas, scheme.replicas[1]))
    task = task_of(scheme)._replace(init=lambda key: jax.tree.map(jax.numpy.array, x))
    shapes = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in tiny_batch(0).items()
    }
    direct = build(alone, task, shapes)
    state = direct.init(jax.random.key(0))
    for step in range(3, 12):
        begun, _ = later.step(begun, tiny_batch(step))
        state, _ = direct.step(state, tiny_batch(step))
        for found, expected in zip(
            _leaves(later.params(begun)), _leaves(direct.params(state)), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_without_staleness_programs_are_synchronous() -> None:
    ends = []
    for rule in (SYNC, StaleSynchronous(0), Asynchronous(0), Hogwild(0)):
        program = program_of(scheme_over((4, rule, NONE)))
        state = _run(program, program.init(jax.random.key(0)), 4)
        ends.append(_leaves(program.params(state)))
    for end in ends[1:]:
        for mine, tight in zip(end, ends[0], strict=True):
            np.testing.assert_allclose(mine, tight, rtol=1e-5, atol=1e-6)


INSIDE_LOCAL = ["pipelined", "stale_synchronous", "asynchronous", "hogwild"]


@pytest.mark.parametrize("name", INSIDE_LOCAL)
def test_rules_stand_inside_local_axes_too(name) -> None:
    program = program_of(
        scheme_over((2, Local(2, Nesterov()), Cast()), (2, RULES[name], INT8))
    )
    checked(program.scheme)
    program.certify()
    state = program.init(jax.random.key(0))
    for step in range(4):
        state, _ = program.step(state, tiny_batch(step))
        copies = [_leaves(program.member_params(state, m)) for m in range(4)]
        outside = all(map(np.array_equal, copies[0], copies[2]))
        inside = all(map(np.array_equal, copies[0], copies[1]))
        moved = step >= 2 or name != "pipelined"
        assert outside == (step % 2 == 1 or not moved)
        assert inside == (step == 0 or name != "stale_synchronous")


@pytest.mark.parametrize(
    ("outer", "inner"),
    [(Elastic(4), Local(2)), (Local(4), Elastic(2)), (Elastic(4), Elastic(2))],
)
def test_elastic_nests_with_what_exchanges_parameters(outer, inner) -> None:
    program = program_of(scheme_over((2, outer, NONE), (2, inner, INT8)))
    checked(program.scheme)
    program.certify()
    state = _run(program, program.init(jax.random.key(0)), 8)
    copies = [_leaves(program.member_params(state, m)) for m in range(4)]
    assert all(map(np.array_equal, copies[0], copies[1])) == (inner == Local(2))


def test_fragments_meet_in_their_own_turns() -> None:
    program = _program("fragments")
    state = program.init(jax.random.key(0))
    for step in range(12):
        state, _ = program.step(state, tiny_batch(step))
        one, other = (program.member_params(state, m) for m in (0, 2))
        met = {name: _same(one[name], other[name]) for name in one}
        assert met == {"hidden": step % 6 == 2, "out": step % 6 == 5}


def test_a_pattern_may_match_in_one_fragment_only() -> None:
    def scheme(pattern):
        codec = Int8(block=8, exclude=(pattern,))
        return scheme_over((2, Local(6, fragments=2), codec))

    program_of(scheme("hidden/*")).certify()
    with pytest.raises(SchemeError, match=r"D088 .* the model; names are `hidden/b`"):
        program_of(scheme("norm/*"))


def test_a_mean_lands_after_its_codec_s_phase_ended() -> None:
    """Sent at step 5 as int8, landed at step 7, when values cross unrounded."""
    codecs = Scheduled(((INT8, 6), (NONE, None)))
    program = program_of(scheme_over((2, Local(6, delay=2), codecs)))
    program.certify()
    state = program.init(jax.random.key(0))
    for step in range(9):
        state, _ = program.step(state, tiny_batch(step))
        one, other = (program.member_params(state, m) for m in (0, 1))
        assert _same(one, other) == (step == 7)
