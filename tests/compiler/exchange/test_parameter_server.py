"""A parameter server against NumPy and against an all-reduce; who holds what."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diamond.compiler.exchange.centralization.parameter_server import late_at
from diamond.compiler.exchange.noise import Stream
from diamond.compiler.exchange.owners import to_owners
from diamond.compiler.exchange.transformation import synchronous
from diamond.dsl.vocabulary import (
    Asynchronous,
    Call,
    Cast,
    Hogwild,
    Int4,
    Int8,
    Local,
    NoCompression,
    ParameterServer,
    Pipelined,
    Qsgd,
    Scheduled,
    Sign,
    Synchronous,
)
from tests.compiler.exchange.members import over_members
from tests.compiler.exchange.mixers import SHAPES, alike, certified, mixer_for, sent
from tests.compiler.exchange.numpy_codecs import mixed, seed_of, through, uniform
from tests.compiler.exchange.rounds import drawn
from tests.compiler.programs import checked, program_of, scheme_over
from tests.schemes import OPTIMIZERS, examples_of, tiny_batch

SYNC, NONE = Synchronous(), NoCompression()
SGD = Call("sgd", (("learning_rate", 0.05),))
ADAM = Call("adam", (("learning_rate", 0.003),))


def _served(who, form, rounds, **more):
    """Everyone's leaves after each push and pull."""

    def run(wire, *rounds):
        mixer = mixer_for(who, form, **more)(wire)
        state, made = mixer.init(rounds[0]), []
        for values in rounds:
            [shard], state = mixer.mean(values, state, 0)
            made.append(mixer.server.pull(shard, values))
        return made

    return [alike(leaves) for leaves in over_members(run, *rounds)]


def _laid(leaves, block):
    """Leaves end to end, each with zeros up to whole blocks."""
    ends = [np.pad(leaf.ravel(), (0, -leaf.size % block)) for leaf in leaves]
    return np.concatenate(ends)


def _wanted(form, rounds, coded):
    """The mean of codes, with feedback at the workers."""
    block = getattr(form, "block", getattr(form, "bucket", 1))
    size, lost = len(rounds[0][0]), {}
    for count, values in enumerate(rounds):
        total = 0
        for member in range(size):
            vector = _laid([values[place][member] for place in coded], block)
            draw = np.concatenate(
                [
                    uniform(
                        seed_of(Stream.ROUNDING, place),
                        count,
                        member,
                        _laid([values[place][member]], block).size,
                    )
                    for place in coded
                ]
            )
            if getattr(form, "feedback", False):
                vector = vector + lost.get(member, np.float32(0))
            if isinstance(form, Sign):
                ones = [np.ones(SHAPES[place], bool) for place in coded]
                draw = _laid(ones, block)
            made = through(form, vector, draw)
            lost[member] = vector - made
            total = total + made
        yield total * np.float32(1 / size)


WORD = 2**32 - 1

# Codecs, and the leaves that they leave as they are.
TERMS = [
    (NONE, []),
    (Cast(feedback=True), []),
    (Cast(to="fp16", exclude=("*/b",)), [0]),
    (Int8(block=8), []),
    (Int8(block=4, feedback=False, exclude=("a/w",)), [1]),
    (Int4(block=6), []),
    (Qsgd(bits=4, bucket=8), []),
    (Sign(block=8), [0]),
]


@pytest.mark.parametrize("shards", [None, 1, 3])
@pytest.mark.parametrize(("form", "dense"), TERMS, ids=str)
def test_the_mean_of_codes_comes_back_unrounded(form, dense, shards) -> None:
    rounds = drawn(4, rounds=3, shapes=SHAPES)
    coded = [place for place in range(3) if place not in dense]
    found = _served(ParameterServer(shards=shards), form, rounds)
    wanted = _wanted(form, rounds, coded)
    block = getattr(form, "block", getattr(form, "bucket", 1))
    for leaves, vector, values in zip(found, wanted, rounds, strict=True):
        laid = _laid([leaves[place] for place in coded], block)
        keep = _laid([np.ones(SHAPES[place], bool) for place in coded], block)
        np.testing.assert_allclose(laid, vector * keep, rtol=1e-5, atol=1e-6)
        for place in dense:
            np.testing.assert_allclose(
                leaves[place], values[place].mean(0), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("shards", [1, 2, 3, 4])
def test_owners_hold_equal_cuts_and_the_others_zeros(shards) -> None:
    leaves = [np.arange(np.prod(s), dtype=np.float32).reshape(s) + 1 for s in SHAPES]

    def run(wire, *leaves):
        return mixer_for(ParameterServer(shards=shards))(wire).server.own(list(leaves))

    own = over_members(run, *[np.stack([leaf] * 4) for leaf in leaves])
    flat = np.concatenate([leaf.ravel() for leaf in leaves])
    width = -(-flat.size // shards)
    wanted = np.zeros((4, width), np.float32)
    wanted[:shards].flat[: flat.size] = flat
    np.testing.assert_array_equal(own, wanted)


@pytest.mark.parametrize(("size", "shards"), [(2, 1), (5, 2), (5, 4), (3, 3)])
def test_owners_hear_from_everyone_in_the_members_order(size, shards) -> None:
    rows = np.arange(size * shards * 2, dtype=np.float32).reshape(size, shards, 2)
    heard = over_members(lambda wire, mine: to_owners(mine, wire), rows)
    for owner in range(shards):
        np.testing.assert_array_equal(heard[owner], rows[:, owner])


@pytest.mark.parametrize(
    ("shards", "messages"),
    [
        (None, [("all-to-all", "f32", 44), ("all-gather", "f32", 11)]),
        (1, [("collective-permute", "f32", 42)] * 6),
        (2, [("collective-permute", "f32", 21)] * 6),
    ],
)
def test_the_bill_is_that_of_the_busiest_member(shards, messages) -> None:
    make = mixer_for(ParameterServer(shards=shards))

    def both(wire):
        mixer = make(wire)

        def mean(values, state, turn):
            [shard], state = mixer.mean(values, state, turn)
            return mixer.server.pull(shard, values), state

        return mixer._replace(mean=mean)

    assert sent(both, 4) == messages


@pytest.mark.parametrize("backup", [1, 2])
def test_backup_is_the_mean_of_the_timely(backup) -> None:
    rounds = drawn(4, rounds=3, shapes=SHAPES)
    found = _served(ParameterServer(backup=backup), NONE, rounds)
    for count, (values, made) in enumerate(zip(rounds, found, strict=True)):
        seed = seed_of(Stream.LATENESS)
        key = [mixed(mixed(seed) + count & WORD) + member for member in range(4)]
        law = [mixed(mixed(each & WORD)) for each in key]
        timely = np.argsort(law)[: 4 - backup]
        late = np.asarray(late_at(jnp.uint32(count), backup, seed, 4))
        assert set(np.flatnonzero(~late)) == set(timely)
        for leaf, mean in zip(values, made, strict=True):
            wanted = leaf[timely].mean(0)
            np.testing.assert_allclose(mean, wanted, rtol=1e-5, atol=1e-6)


def _trained(*axes, optimizer=SGD, steps=6):
    program = program_of(checked(scheme_over(*axes, optimizer=optimizer, steps=steps)))
    state = program.init(jax.random.key(0))
    for step in range(steps):
        state, _ = program.step(state, tiny_batch(step, examples_of(program.scheme)))
    return program, state


def _same(*both):
    (one, left), (two, right) = both
    for a, b in zip(
        jax.tree.leaves(one.params(left)),
        jax.tree.leaves(two.params(right)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shards", [None, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=str)
def test_training_is_that_of_an_allreduce(optimizer, shards) -> None:
    server = (4, SYNC, NONE, ParameterServer(shards=shards))
    plain = (4, SYNC, NONE)
    _same(_trained(server, optimizer=optimizer), _trained(plain, optimizer=optimizer))


@pytest.mark.parametrize(
    "rule", [Pipelined(delay=2), Asynchronous(max_staleness=2), Hogwild(2)]
)
def test_every_rule_of_gradients_is_that_of_an_allreduce(rule) -> None:
    server = _trained((4, rule, NONE, ParameterServer(shards=2)))
    certified(server[0])
    _same(server, _trained((4, rule, NONE)))


@pytest.mark.parametrize(
    ("axes", "place"),
    [
        ([(2, SYNC, NONE, "server"), (2, SYNC, NONE)], 0),
        ([(2, SYNC, NONE, "server"), (2, Pipelined(), Cast())], 0),
        ([(2, Local(2), NONE), (2, SYNC, NONE, "server")], 1),
        ([(2, Local(2, state="average"), NONE), (4, SYNC, NONE, "server")], 1),
        ([(2, Local(2, state="reset"), NONE), (2, SYNC, NONE, "server")], 1),
    ],
)
@pytest.mark.parametrize("shards", [None, 1])
def test_other_axes_inside_and_outside_are_as_with_an_allreduce(
    axes, place, shards
) -> None:
    served, plain = list(axes), list(axes)
    served[place] = (*axes[place][:3], ParameterServer(shards=shards))
    plain[place] = axes[place][:3]
    server = _trained(*served, optimizer=ADAM)
    certified(server[0])
    _same(server, _trained(*plain, optimizer=ADAM))


@pytest.mark.parametrize(
    ("shards", "width", "what"),
    [
        (None, 14, "optimizer, one of 4 shards"),
        (2, 27, "optimizer, one of 2 shards"),
        (1, 53, "optimizer"),
    ],
)
def test_a_member_holds_its_shard_of_the_optimizer_and_no_more(
    shards, width, what
) -> None:
    axis = (4, SYNC, NONE, ParameterServer(shards=shards))
    program = program_of(scheme_over(axis, optimizer=ADAM))
    state = program.init(jax.random.key(0))
    adam = state.optimizer[0]
    for [moment] in (adam.mu, adam.nu):
        assert moment.shape == (4, width)
        assert {s.data.shape for s in moment.addressable_shards} == {(1, width)}
    [held] = [h for h in program.plan.memory if h.what.startswith("optimizer")]
    assert (held.what, held.bytes) == (what, 2 * 4 * width + 4)
    assert sum(h.bytes for h in program.plan.memory if "state" in h.what) == 0


@pytest.mark.parametrize(("shards", "hops"), [(1, 6), (3, 6)])
def test_the_compiled_step_has_the_hops_and_nothing_else(shards, hops) -> None:
    axis = (4, SYNC, NONE, ParameterServer(shards=shards))
    program = program_of(scheme_over(axis, steps=2))
    assert certified(program) == [{"collective-permute": hops}]


def test_shards_stay_the_same_when_the_codec_changes() -> None:
    forms = (NONE, Int8(block=8, exclude=("out/b",)), Cast(exclude=("*/b",)))
    phases = tuple(zip(forms, (2, 2, None), strict=True))
    axis = (4, SYNC, Scheduled(phases), ParameterServer(shards=2))
    program, state = _trained(axis, optimizer=ADAM)
    certified(program)
    owned = {part.shape for part in jax.tree.leaves(state.optimizer[0].mu)}
    assert len(owned) == 1
    leaves = [drawn(4, rounds=1, shapes=SHAPES)[0] for _ in range(2)]
    named = (NONE, Int8(block=8, exclude=("c/w",)))
    who = ParameterServer(shards=3)
    for form in named:
        [plain], [laid] = (
            _served(who, form, leaves[:1]),
            _served(who, form, leaves[:1], forms=named),
        )
        for one, two in zip(plain, laid, strict=True):
            np.testing.assert_array_equal(one, two)


def test_with_backup_all_members_stay_equal_under_any_codec() -> None:
    for shards, form in itertools.product((None, 1), (Int8(block=8), Qsgd(bucket=8))):
        who = ParameterServer(shards=shards, backup=1)
        program, _ = _trained((4, SYNC, form, who))
        certified(program)


def test_a_server_is_no_transformation() -> None:
    with pytest.raises(ValueError, match="compile a scheme instead"):
        synchronous("host", centralization=ParameterServer(), size=2)
