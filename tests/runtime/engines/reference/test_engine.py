"""The engine itself: its state, its metrics, and what it refuses."""

import ast
from pathlib import Path

import jax
import numpy as np
import pytest
from hypothesis import given, settings

from diamond.dsl.vocabulary import Int8, Local, Nesterov, StaleSynchronous, Synchronous
from diamond.runtime.engines import reference
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.engines.reference.vectors import flatten
from tests.runtime.engines.reference.runs import (
    On,
    close,
    engine_of,
    members,
    scheme_of,
    trained,
)
from tests.schemes import catalogue, schemes, task_of, tiny_batch

DILOCO = Nesterov(lr=0.7, momentum=0.9)


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
    """Says whether copies are equal after a step, of the rules that are drawn."""
    return isinstance(clause.consistency, Synchronous | Local) and clause.is_due(step)


def test_a_step_leaves_its_input_alone():
    axes = On(2, Local(1, DILOCO), Int8(4)), On(2, StaleSynchronous())
    engine = engine_of(*axes, precision="fp32")
    state = trained(engine, 2)
    before = [np.array(leaf) for leaf in jax.tree.leaves(state)]
    first, _ = engine.step(state, tiny_batch(7))
    again, _ = engine.step(state, tiny_batch(7))
    for was, leaf in zip(before, jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(was, leaf)
    np.testing.assert_array_equal(members(first), members(again))


def test_a_state_is_made_again_from_its_parts():
    axis = On(4, Local(2, DILOCO), Int8(4))
    engine = engine_of(axis, precision="fp32")
    state = trained(engine, 3)
    parts = state._asdict()
    copy = engine.from_members(parts.pop("params"), **parts)
    np.testing.assert_array_equal(
        members(trained(engine, 3, copy)), members(trained(engine, 3, state))
    )


def test_losses_are_of_the_members_own_shares_before_the_update():
    engine = engine_of(On(2), On(2), precision="fp32")
    state, batch = engine.init(jax.random.key(0)), tiny_batch(0)
    _, metrics = engine.step(state, batch)
    each = engine.task.measure(state.params[0], batch)["loss"]
    assert metrics["loss"].shape == (2, 2)
    close(metrics["loss"].ravel(), np.asarray(each).reshape(4, 4).mean(axis=1), 1e-6)


def test_evaluation_is_at_the_average_of_the_members():
    scheme = scheme_of(On(2, Local(9)), precision="fp32")
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


def test_fp64_is_refused_where_jax_is_without_it():
    with pytest.raises(ValueError, match="jax_enable_x64"):
        engine_of(On(2))


def test_a_batch_that_does_not_divide_is_refused():
    engine = engine_of(On(4), precision="fp32")
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
    for file in Path(reference.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                imported.add(node.module)
            elif isinstance(node, ast.Import):
                imported.update(alias.name for alias in node.names)
    own = {name for name in imported if name.startswith("diamond.")}
    outside = {n for n in own if not n.startswith("diamond.runtime.engines.reference")}
    assert outside == {"diamond.compiler.task", "diamond.dsl.vocabulary"}
    assert "jax.numpy" not in imported
