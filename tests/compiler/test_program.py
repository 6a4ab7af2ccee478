"""A program as its users meet it: state, batches, copies, metrics."""

import jax
import numpy as np
import pytest

from diamond.compiler.build import build
from diamond.dsl.vocabulary import Int8, Local, NoCompression, Scheduled, Synchronous
from tests.compiler.programs import program_of, scheme_over
from tests.schemes import task_of, tiny_batch

SWITCH = Scheduled(((Synchronous(), 3), (Local(every=3), None)))


@pytest.fixture(scope="module")
def program():
    return program_of(
        scheme_over((2, SWITCH, Int8(block=8)), (2, Synchronous(), NoCompression()))
    )


def _run(program, state, steps):
    for _ in range(steps):
        state, metrics = program.step(state, tiny_batch(int(state.step)))
    return state, metrics


def _leaves(state):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(state)]


def test_copies_are_equal_when_they_have_met_and_differ_in_between(program) -> None:
    state = program.init(jax.random.key(0))
    for step in range(9):
        state, _ = program.step(state, tiny_batch(step))
        first, other = (program.member_params(state, m) for m in (0, 2))
        same = all(map(np.array_equal, *map(jax.tree.leaves, (first, other))))
        assert same == (step < 3 or step in (5, 8))


def test_copies_on_devices_are_bitwise_equal_along_tight_axes(program) -> None:
    state, _ = _run(program, program.init(jax.random.key(0)), 5)
    for leaf in jax.tree.leaves(state.params):
        by_place: dict[str, list[np.ndarray]] = {}
        for shard in leaf.addressable_shards:
            by_place.setdefault(str(shard.index), []).append(np.asarray(shard.data))
        assert len(by_place) == 2
        for copies in by_place.values():
            assert all(np.array_equal(copies[0], copy) for copy in copies)


def test_same_key_and_batches_give_the_same_bits(program) -> None:
    first, _ = _run(program, program.init(jax.random.key(7)), 7)
    again, _ = _run(program, program.init(jax.random.key(7)), 7)
    assert all(map(np.array_equal, _leaves(first), _leaves(again)))


def test_a_state_taken_to_the_host_and_back_goes_on_bit_for_bit(program) -> None:
    straight, _ = _run(program, program.init(jax.random.key(1)), 8)
    half, _ = _run(program, program.init(jax.random.key(1)), 5)
    host = jax.tree.map(np.asarray, half)
    placed = jax.tree.map(
        lambda leaf, like: jax.device_put(leaf, like.sharding),
        host._replace(step=None),
        program.abstract_state._replace(step=None),
    )
    resumed, _ = _run(program, placed._replace(step=host.step), 3)
    assert all(map(np.array_equal, _leaves(straight), _leaves(resumed)))


def test_no_step_compiles_twice(program) -> None:
    state, _ = _run(program, program.init(jax.random.key(0)), 9)
    with jax.log_compiles(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            jax.stages.Lowered, "compile", lambda *a, **k: pytest.fail("compiled")
        )
        _run(program, state, 3)


def test_losses_are_one_a_member(program) -> None:
    _, metrics = _run(program, program.init(jax.random.key(0)), 1)
    assert metrics["loss"].shape == (2, 2)


def test_evaluation_counts_each_example_once(program) -> None:
    state, _ = _run(program, program.init(jax.random.key(0)), 4)
    data = tiny_batch(99, examples=21)
    params = jax.tree.map(np.asarray, program.params(state))
    expected = float(np.mean(program.task.measure(params, data)["loss"]))
    assert program.evaluate(state, data)["loss"] == pytest.approx(expected, rel=1e-6)


def test_wrong_batches_are_refused_with_the_shapes(program) -> None:
    state = program.init(jax.random.key(0))
    with pytest.raises(ValueError, match=r"`x` .* shape \(8, 6\).*\(16, 6\)"):
        program.step(state, {**tiny_batch(0), "x": np.ones((8, 6), np.float32)})
    with pytest.raises(ValueError, match=r"the batch has \['x'\]"):
        program.step(state, {"x": tiny_batch(0)["x"]})


def test_too_few_devices_and_odd_batches_are_refused_with_the_numbers() -> None:
    scheme = scheme_over((8, Synchronous(), NoCompression()))
    shapes = {"x": jax.ShapeDtypeStruct((16, 6), np.float32)}
    shapes["y"] = jax.ShapeDtypeStruct((16, 3), np.float32)
    with pytest.raises(ValueError, match="needs 8 devices, but there are 4"):
        build(scheme, task_of(scheme), shapes, jax.devices()[:4])
    odd = {
        name: jax.ShapeDtypeStruct((18, s.shape[1]), s.dtype)
        for name, s in shapes.items()
    }
    with pytest.raises(ValueError, match=r"a batch of 18 .* 8 members .* 16 or 24"):
        build(scheme, task_of(scheme), odd)


def test_a_state_is_used_up_once(program) -> None:
    state = program.init(jax.random.key(0))
    program.step(state, tiny_batch(0))
    with pytest.raises(ValueError, match="used up"):
        program.step(state, tiny_batch(0))


def test_a_refused_batch_leaves_the_state_usable(program) -> None:
    state, _ = _run(program, program.init(jax.random.key(0)), 3)
    with pytest.raises(ValueError, match="shape"):
        program.step(state, tiny_batch(3, examples=8))
    assert np.isfinite(program.evaluate(state, tiny_batch(3))["loss"])


@pytest.mark.parametrize("convert", [np.asarray, jax.numpy.asarray])
def test_a_batch_is_never_cast_to_another_kind(program, convert) -> None:
    state = program.init(jax.random.key(0))
    wrong = {**tiny_batch(0), "y": convert(np.ones((16, 3), np.complex64))}
    with pytest.raises(ValueError, match="`y` of the batch has type complex64"):
        program.step(state, wrong)


def test_evaluation_refuses_what_it_cannot_count(program) -> None:
    state = program.init(jax.random.key(0))
    data = tiny_batch(0)
    with pytest.raises(ValueError, match="as many examples"):
        program.evaluate(state, {**data, "y": data["y"][:5]})
    with pytest.raises(ValueError, match="one at least"):
        program.evaluate(state, {name: array[:0] for name, array in data.items()})
    with pytest.raises(ValueError, match="the batch has"):
        program.evaluate(state, {})


def test_two_steps_are_on_their_way_at_most(program) -> None:
    state = program.init(jax.random.key(0))
    for step in range(6):
        state, _ = program.step(state, tiny_batch(step))
        assert len(program._on_their_way) <= 2
