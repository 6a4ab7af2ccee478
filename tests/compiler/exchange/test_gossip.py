"""Gossip against mixing matrices written out here, and what mixing comes to."""

import functools
import math

import jax
import jax.flatten_util
import numpy as np
import pytest

from diamond.compiler.exchange.centralization.gossip import gossip
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.tables import codec_of
from diamond.compiler.exchange.topologies import (
    matrix_of,
    rounds_of,
    spectral_gap,
)
from diamond.compiler.exchange.wire import mesh_wire
from diamond.dsl.vocabulary import (
    AllReduce,
    Call,
    Cast,
    Gossip,
    Int4,
    Int8,
    Local,
    NoCompression,
    Qsgd,
    Scheduled,
    Synchronous,
)
from tests.compiler.exchange.members import over_members
from tests.compiler.exchange.mixers import (
    SHAPES,
    certified,
    flat,
    mixed,
    mixer_for,
    sent,
)
from tests.compiler.exchange.numpy_codecs import SEED, through, uniform
from tests.compiler.exchange.rounds import drawn
from tests.compiler.programs import checked, program_of, scheme_over
from tests.schemes import task_of, tiny_batch

SYNC, NONE = Synchronous(), NoCompression()
LR = 0.05
SGD = Call("sgd", (("learning_rate", LR),))
SIZES = {
    "complete": (2, 3, 8),
    "ring": (2, 3, 5, 8),
    "chain": (2, 3, 8),
    "exponential": (2, 3, 5, 8),
    "hypercube": (2, 4, 8),
    "pairs": (2, 4, 6, 8),
}
CASES = [(topology, size) for topology, sizes in SIZES.items() for size in sizes]
each_case = pytest.mark.parametrize(("topology", "size"), CASES)


def _who(topology):
    return Gossip(topology, push_sum=topology == "chain")


def _matrix(topology, size, number):
    """W of a mixing by its number, entry by entry."""
    w = np.zeros((size, size))
    for i in range(size):
        if topology == "complete":
            w[i] = 1 / size
        elif topology == "ring":
            near = {i, (i - 1) % size, (i + 1) % size}
            w[i, sorted(near)] = 1 / len(near)
        elif topology == "chain":
            for j in {i - 1, i, i + 1} & set(range(size)):
                w[i, j] = 1 / (1 + (j > 0) + (j < size - 1))
        else:
            w[i, [i, _partner(topology, size, number, i)]] = 0.5
    return w


def _partner(topology, size, number, i):
    if topology == "exponential":
        return (i - 2 ** (number % math.ceil(math.log2(size)))) % size
    if topology == "hypercube":
        return i ^ 2 ** (number % round(math.log2(size)))
    r = number % (size - 1)
    if r == i or i == size - 1:
        return size - 1 if r == i else r
    return next(j for j in range(size - 1) if (i + j - 2 * r) % (size - 1) == 0)


@each_case
def test_topologies_are_the_matrices_of_their_names(topology, size) -> None:
    rounds = rounds_of(topology, size)
    cycle = {"exponential": math.ceil(math.log2(size)), "pairs": size - 1}
    cycle["hypercube"] = round(math.log2(size))
    assert len(rounds) == cycle.get(topology, 1)
    for number, each in enumerate(rounds):
        w = _matrix(topology, size, number)
        np.testing.assert_allclose(matrix_of(each), w, atol=1e-15)
        np.testing.assert_allclose(w.sum(0), 1)
        for hop in each.hops:
            senders, hearers = zip(*hop.pairs, strict=True)
            assert len(set(senders)) == len(set(hearers)) == len(hop.pairs)


def test_in_pairs_everyone_meets_everyone_once() -> None:
    met = [pair for each in rounds_of("pairs", 8) for pair in each.hops[0].pairs]
    assert len(met) == len(set(met)) == 8 * 7


@pytest.mark.parametrize(("topology", "size"), [c for c in CASES if c[0] != "chain"])
def test_a_mixing_is_the_matrix_times_the_copies(topology, size) -> None:
    rounds = drawn(size, rounds=3, shapes=SHAPES)
    found, _ = mixed(mixer_for(Gossip(topology)), rounds)
    for number, (values, made) in enumerate(zip(rounds, found, strict=True)):
        wanted = _matrix(topology, size, number) @ flat(values).astype(np.float64)
        np.testing.assert_allclose(flat(made), wanted, rtol=1e-5, atol=1e-6)


TERMS = [Cast(), Int8(block=8, feedback=False), Int4(block=6, feedback=False)]
TERMS += [Qsgd(bits=4, bucket=8)]


@pytest.mark.parametrize("form", TERMS, ids=str)
@pytest.mark.parametrize("topology", ["complete", "ring", "exponential", "pairs"])
def test_codes_are_mixed_so_that_the_mean_is_conserved(topology, form) -> None:
    size = 4
    rounds = drawn(size, rounds=2, shapes=((3, 8),))
    codec = codec_of(form)
    found, _ = mixed(
        lambda wire: gossip(wire=wire, codec=codec, topology=topology), rounds
    )
    for count, ([values], [made]) in enumerate(zip(rounds, found, strict=True)):
        x = values.reshape(size, -1)
        codes = np.stack(
            [through(form, x[i], uniform(SEED, count, i, 24)) for i in range(size)]
        )
        w = _matrix(topology, size, count)
        wanted = x + w @ codes - codes
        np.testing.assert_allclose(made.reshape(size, -1), wanted, atol=2e-6)
        np.testing.assert_allclose(made.mean(0), values.mean(0), atol=1e-6)
        assert np.abs(w @ x - wanted).max() > 1e-4


def test_excluded_leaves_are_mixed_as_they_are() -> None:
    form = Int8(block=8, feedback=False, exclude=("a/*",))
    [values] = drawn(4, rounds=1, shapes=SHAPES)
    [made], _ = mixed(mixer_for(Gossip("ring"), form), [values])
    w = _matrix("ring", 4, 0)
    errors = [
        np.abs(np.einsum("ij,j...->i...", w, leaf) - new).max()
        for leaf, new in zip(values, made, strict=True)
    ]
    assert errors[0] < 1e-6 and errors[1] < 1e-6 and errors[2] > 1e-4
    assert sent(mixer_for(Gossip("ring"), form), 4) == [
        *[("collective-permute", "s8", 16), ("collective-permute", "f32", 2)] * 2,
        *[("collective-permute", "f32", 26)] * 2,
    ]


def _again(make, values, times):
    """Mixes copies with nothing in between."""

    def run(wire, *values):
        mixer, values = make(wire), list(values)
        state = mixer.init(values)
        for number in range(times):
            turn = mixer.turns[number % len(mixer.turns)]
            values, state = mixer.mean(values, state, turn)
        return values

    return flat(over_members(run, *values))


@pytest.mark.parametrize("topology", ["hypercube", "exponential"])
@pytest.mark.parametrize("size", [2, 4, 8])
def test_log2_mixings_make_the_exact_mean(topology, size) -> None:
    [values] = drawn(size, rounds=1, shapes=SHAPES)
    found = _again(mixer_for(Gossip(topology)), values, round(math.log2(size)))
    mean = np.broadcast_to(flat(values).mean(0), found.shape)
    np.testing.assert_allclose(found, mean, rtol=1e-5, atol=1e-6)
    early = _again(mixer_for(Gossip(topology)), values, round(math.log2(size)) - 1)
    assert np.abs(early - mean).max() > 0.1


def test_push_sum_finds_the_mean_on_a_chain_where_plain_mixing_does_not() -> None:
    [values] = drawn(4, rounds=1, shapes=SHAPES)
    mean = flat(values).mean(0)
    found = _again(mixer_for(_who("chain")), values, 60)
    np.testing.assert_allclose(found, np.stack([mean] * 4), rtol=1e-4, atol=1e-5)
    plain = np.linalg.matrix_power(_matrix("chain", 4, 0), 60) @ flat(values)
    np.testing.assert_allclose(plain.mean(0), mean, rtol=1e-4, atol=1e-5)
    assert np.abs(plain - mean).max() > 0.1


def test_push_sum_follows_what_moves_the_copies_in_between() -> None:
    """NumPy's numerators and weights, with parameters that change from outside."""
    rounds = drawn(5, rounds=4, shapes=SHAPES)
    found, state = mixed(mixer_for(_who("chain")), rounds)
    w = _matrix("chain", 5, 0)
    y, o = flat(rounds[0]).astype(np.float64), np.ones((5, 1))
    for values, made in zip(rounds, found, strict=True):
        y = w @ (y + (flat(values) - y / o))
        o = w @ o
        np.testing.assert_allclose(flat(made), y / o, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state.push.weight, o[:, 0], rtol=1e-5)
    np.testing.assert_allclose(flat(state.push.numerators), y, rtol=1e-5, atol=1e-5)


def test_push_sum_begins_where_the_parameters_are() -> None:
    [values] = drawn(2, rounds=1, shapes=SHAPES)
    mixer = mixer_for(_who("chain"))(mesh_wire("host", 2))
    old = mixer.init([0 * leaf for leaf in values])
    begun = mixer.begin(values, old._replace(push=old.push._replace(weight=7.0)))
    assert begun.push.weight == 1
    for leaf, kept in zip(values, begun.push.numerators, strict=True):
        np.testing.assert_array_equal(leaf, kept)


@pytest.mark.parametrize("size", [3, 4, 5, 8, 12])
def test_the_spectral_gap_of_a_ring_is_its_closed_form(size) -> None:
    angles = 2 * np.pi * np.arange(1, size) / size
    wanted = 1 - np.abs(1 / 3 + 2 / 3 * np.cos(angles)).max()
    np.testing.assert_allclose(spectral_gap("ring", size), wanted, rtol=1e-9)


@each_case
def test_the_spectral_gap_tells_how_fast_copies_agree(topology, size) -> None:
    """Over many cycles what is left shrinks by (1 - gap) a mixing."""
    rounds = rounds_of(topology, size)
    cycle = functools.reduce(lambda m, r: matrix_of(r) @ m, rounds, np.eye(size))
    limit = np.linalg.matrix_power(cycle, 512)
    left = np.linalg.norm(cycle - limit, 2)
    gap = spectral_gap(topology, size)
    if gap == 1:
        assert left < 1e-12
        return
    cycles = -(-24 // len(rounds))
    late = np.linalg.norm(np.linalg.matrix_power(cycle, cycles) - limit, 2)
    assert late ** (1 / cycles / len(rounds)) == pytest.approx(1 - gap, rel=0.1)


@pytest.mark.parametrize(
    ("topology", "size"), [("hypercube", 6), ("pairs", 5), ("pairs", 3)]
)
def test_sizes_that_a_topology_does_not_have_are_refused(topology, size) -> None:
    with pytest.raises(ValueError, match=f"of members, not {size}"):
        mixer_for(Gossip(topology))(mesh_wire("host", size))


def test_a_chain_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="needs `push_sum = true`"):
        gossip(wire=mesh_wire("host", 4), codec=none(), topology="chain")


@pytest.mark.parametrize("topology", ["ring", "complete", "pairs", "chain"])
def test_one_member_does_nothing(topology) -> None:
    [values] = drawn(1, rounds=1, shapes=SHAPES)
    [made], _ = mixed(mixer_for(_who(topology), Cast()), [values])
    np.testing.assert_array_equal(flat(made), flat(values))
    assert sent(mixer_for(_who(topology)), 1) == []


HOPS = {"ring": 2, "chain": 4, "exponential": 1, "hypercube": 1, "pairs": 1}


@each_case
def test_the_compiled_steps_have_the_hops_and_nothing_else(topology, size) -> None:
    program = program_of(checked(scheme_over((size, SYNC, NONE, _who(topology)))))
    found = certified(program)
    hops = HOPS.get(topology, 0) if size > 2 else 1 + (topology == "chain")
    counts = {"collective-permute": hops}
    if topology == "complete":
        counts = {"all-reduce": 1}
    assert found == [counts] * len(rounds_of(topology, size))
    [exchange] = program.plan.exchanges
    assert exchange.reason.startswith("spectral gap")
    assert exchange.reason in program.explain()


@pytest.mark.parametrize("form", TERMS, ids=str)
@pytest.mark.parametrize("rule", [SYNC, Local(every=2)])
def test_codes_and_periods_are_certified(form, rule) -> None:
    for who in (Gossip("exponential", push_sum=True), Gossip("complete")):
        certified(program_of(checked(scheme_over((4, rule, form, who), steps=6))))


def _trained(*axes, steps=5):
    program = program_of(checked(scheme_over(*axes, optimizer=SGD, steps=steps)))
    state = program.init(jax.random.key(0))
    for step in range(steps):
        state, _ = program.step(state, tiny_batch(step))
    return program, state


def _vector(params):
    leaves = jax.tree.leaves(params)
    return np.concatenate([np.asarray(leaf, np.float64).ravel() for leaf in leaves])


@pytest.mark.parametrize("topology", ["ring", "exponential", "pairs", "chain"])
@pytest.mark.parametrize("every", [1, 2])
def test_training_is_steps_and_mixings_in_turn(topology, every) -> None:
    rule = SYNC if every == 1 else Local(every=every)
    program, state = _trained((4, rule, NONE, _who(topology)), steps=8)
    task = task_of(program.scheme)
    params = task.init(jax.random.key(0))
    _, restored = jax.flatten_util.ravel_pytree(params)
    x = np.stack([_vector(params)] * 4)
    y, o = x.copy(), np.ones((4, 1))
    for step in range(8):
        batch = tiny_batch(step)
        for i in range(4):
            share = {name: part[4 * i : 4 * i + 4] for name, part in batch.items()}
            slope = jax.grad(task.loss)(restored(x[i].astype(np.float32)), share)
            x[i] -= LR * _vector(slope)
        if (step + 1) % every == 0:
            w = _matrix(topology, 4, (step + 1) // every - 1)
            y, o = w @ (y + (x - y / o)), w @ o
            x = y / o
    for i in range(4):
        found = _vector(program.member_params(state, i))
        np.testing.assert_allclose(found, x[i], rtol=1e-4, atol=1e-5)


def test_with_sgd_complete_is_an_allreduce_of_gradients() -> None:
    mixing, left = _trained((4, SYNC, NONE, Gossip("complete")))
    plain, right = _trained((4, SYNC, NONE))
    for member in range(4):
        found = _vector(mixing.member_params(left, member))
        np.testing.assert_allclose(found, _vector(plain.params(right)), atol=1e-6)


def test_gossip_outside_a_synchronous_axis_mixes_whole_groups() -> None:
    nested, left = _trained((4, SYNC, NONE, Gossip("ring")), (2, SYNC, NONE))
    alone, right = _trained((4, SYNC, NONE, Gossip("ring")))
    assert len(certified(nested)) == 1
    for member in range(4):
        one = _vector(nested.member_params(left, 2 * member))
        two = _vector(alone.member_params(right, member))
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_gossip_inside_a_local_axis_is_certified() -> None:
    inner = (4, SYNC, NONE, Gossip("exponential", push_sum=True))
    program, state = _trained((2, Local(every=2), NONE), inner, steps=6)
    certified(program)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state.params))


@pytest.mark.parametrize(("push_sum", "kept"), [(True, 4 * 53 + 4), (False, 0)])
def test_push_sum_keeps_another_copy_and_a_weight(push_sum, kept) -> None:
    axis = (4, SYNC, NONE, Gossip("ring", push_sum=push_sum))
    memory = program_of(scheme_over(axis)).plan.memory
    assert kept == sum(h.bytes for h in memory if "state of centr" in h.what)


def test_gossip_takes_over_from_an_allreduce() -> None:
    phases = ((AllReduce(), 3), (Gossip("complete", push_sum=True), None))
    mixing, left = _trained((4, SYNC, NONE, Scheduled(phases)), steps=6)
    plain, right = _trained((4, SYNC, NONE), steps=6)
    certified(mixing)
    one, two = _vector(mixing.params(left)), _vector(plain.params(right))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
