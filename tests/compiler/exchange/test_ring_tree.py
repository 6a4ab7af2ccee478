"""How sums travel: around a ring, up a tree, in two phases, against NumPy's order."""

import jax
import numpy as np
import pytest

from diamond.compiler.exchange.centralization.allreduce import allreduce
from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.wire import mesh_wire
from diamond.dsl.vocabulary import (
    AllReduce,
    Gradiveq,
    Int8,
    NoCompression,
    PowerSgd,
    RandomK,
    Synchronous,
)
from tests.compiler.exchange.members import over_members
from tests.compiler.exchange.mixers import (
    SHAPES,
    alike,
    certified,
    flat,
    mixed,
    mixer_for,
    sent,
)
from tests.compiler.exchange.rounds import drawn
from tests.compiler.programs import checked, program_of, scheme_over

TOTAL = 42


def _ring(shares):
    size, length = shares.shape
    width = -(-length // size)
    padded = np.pad(shares, ((0, 0), (0, width * size - length)))
    chunks = padded.reshape(size, size, width)
    made = []
    for c in range(size):
        total = chunks[(c + 1) % size, c]
        for hop in range(2, size + 1):
            total = total + chunks[(c + hop) % size, c]
        made.append(total)
    return np.concatenate(made)[:length]


def _tree(shares):
    rows, distance = list(shares), 1
    while distance < len(rows):
        rows = [row + rows[i ^ distance] for i, row in enumerate(rows)]
        distance *= 2
    return rows[0]


def _two_phase(shares):
    total = shares[0]
    for row in shares[1:]:
        total = total + row
    return total


@pytest.mark.parametrize(
    ("algorithm", "added", "size"),
    [
        *(("ring", _ring, size) for size in (1, 2, 3, 4, 8)),
        *(("tree", _tree, size) for size in (1, 2, 4, 8)),
        *(("two_phase", _two_phase, size) for size in (1, 2, 3, 8)),
    ],
)
def test_sums_are_in_the_order_of_the_algorithm_to_the_bit(
    algorithm, added, size
) -> None:
    [values] = drawn(size, rounds=1, shapes=SHAPES)
    [made], _ = mixed(mixer_for(AllReduce(algorithm=algorithm)), [values])
    found = flat(made)
    alike(made)
    wanted = added(flat(values) * np.float32(1 / size))
    np.testing.assert_array_equal(found[0], wanted)


@pytest.mark.parametrize(
    ("algorithm", "size", "messages"),
    [
        ("ring", 4, [("collective-permute", "f32", 11)] * 6),
        ("tree", 4, [("collective-permute", "f32", TOTAL)] * 2),
        ("two_phase", 4, [("all-to-all", "f32", 44), ("all-gather", "f32", 11)]),
        ("ring", 1, []),
        ("tree", 1, []),
    ],
)
def test_messages_are_those_of_the_bill(algorithm, size, messages) -> None:
    found = sent(mixer_for(AllReduce(algorithm=algorithm)), size)
    assert found == messages


def test_whole_numbers_keep_their_type_and_empty_leaves_their_shape() -> None:
    def run(wire, counts, empty):
        mixer = allreduce(wire=wire, compressor=_adding(), algorithm="two_phase")
        return mixer.mean([counts, empty], (), 0)[0]

    counts = np.arange(8, dtype=np.int8).reshape(4, 2)
    total, empty = over_members(run, counts, np.zeros((4, 0), np.float32))
    assert total.dtype == np.int8
    assert total.tolist() == [[12, 16]] * 4
    assert empty.shape == (4, 0)


def _adding():
    """A compressor that adds leaves as they are."""

    def mean(values, state, wire, turn):
        return wire.sum(values), state

    return coded(none(), 4)._replace(mean=mean)


def test_a_tree_of_three_is_refused() -> None:
    compressor = coded(none(), 3)
    with pytest.raises(ValueError, match="a power of two of members, not 3"):
        allreduce(wire=mesh_wire("host", 3), compressor=compressor, algorithm="tree")


@pytest.mark.parametrize(
    ("algorithm", "size", "counts"),
    [
        ("ring", 4, {"collective-permute": 6}),
        ("ring", 3, {"collective-permute": 4}),
        ("ring", 2, {"collective-permute": 2}),
        ("tree", 8, {"collective-permute": 3}),
        ("two_phase", 4, {"all-to-all": 1, "all-gather": 1}),
    ],
)
def test_the_compiled_step_has_the_hops_and_nothing_else(
    algorithm, size, counts
) -> None:
    who = AllReduce(algorithm=algorithm)
    axis = (size, Synchronous(), NoCompression(), who)
    program = program_of(checked(scheme_over(axis, steps=2)))
    assert certified(program) == [counts]
    [exchange] = program.plan.exchanges
    assert exchange.route == algorithm


@pytest.mark.parametrize("algorithm", ["ring", "tree", "two_phase"])
@pytest.mark.parametrize(
    "form", [RandomK(density=0.2), PowerSgd(), Gradiveq(slice=4, keep=2, every=2)]
)
def test_whatever_adds_up_travels_so_and_comes_out_the_same(algorithm, form) -> None:
    rounds = drawn(4, rounds=3, shapes=SHAPES)
    plain, _ = mixed(mixer_for(AllReduce(), form), rounds)
    spelt, _ = mixed(mixer_for(AllReduce(algorithm=algorithm), form), rounds)
    for one, two in zip(jax.tree.leaves(plain), jax.tree.leaves(spelt), strict=True):
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-5)
    axis = (4, Synchronous(), form, AllReduce(algorithm=algorithm))
    for found in certified(program_of(checked(scheme_over(axis, steps=3)))):
        assert "all-reduce" not in found


def test_codes_of_two_members_are_gathered_whatever_the_algorithm() -> None:
    form = Int8(block=8, feedback=False)
    found = sent(mixer_for(AllReduce(algorithm="two_phase"), form), 2)
    assert {kind for kind, _, _ in found} == {"all-gather"}


def test_excluded_leaves_travel_in_two_phases_too() -> None:
    form = Int8(block=8, exclude=("*/b",))
    found = sent(mixer_for(AllReduce(algorithm="two_phase"), form), 4)
    assert {kind for kind, _, _ in found} == {"all-to-all", "all-gather"}
