"""1-bit Adam, with the optimizer: plain Adam first, then signs of the momentum."""

from typing import NamedTuple

import jax
import numpy as np
import optax
import pytest

from diamond.compiler.exchange.compression.onebit import BLOCK, frozen, onebit
from diamond.compiler.exchange.site import Moments, Site
from diamond.compiler.exchange.tables import compressor_of
from diamond.compiler.exchange.wire import mesh_wire
from diamond.compiler.plan import TensorSpec
from diamond.dsl.vocabulary import OneBit
from tests.compiler.exchange.members import AXIS, over_members
from tests.compiler.exchange.rounds import drawn, exchanged, messages_of

B1, B2, LR, EPS = 0.8, 0.95, 0.1, 1e-8
SHAPES = ((5,), (40, 30), (33, 32))  # 1200 and 1056 values: a block and a part of one
TENSORS = tuple(
    TensorSpec(name, shape, "float32")
    for name, shape in zip("buw", SHAPES, strict=True)
)


class Adam(NamedTuple):
    """Parameters and both moments, after each step."""

    x: list
    mu: list
    nu: list


def _trained(rounds, start):
    """Runs the two stages with optax; everything after each step, by member."""
    optimizer = optax.adam(LR, b1=B1, b2=B2, eps=EPS)

    def run(wire, *rounds):
        site = Site(wire, TENSORS, Moments(B1, B2))
        warm, signed = (
            compressor_of(OneBit(start=steps), site) for steps in (start, 0)
        )
        assert warm.settle is None
        x = jax.tree.map(jax.numpy.zeros_like, rounds[0])
        state, kept, seen = optimizer.init(x), warm.init(x), []
        for step, gradients in enumerate(rounds):
            compressor = warm if step < start else signed
            given, kept = compressor.mean(gradients, kept, wire, 0)
            updates, after = optimizer.update(given, state, x)
            settle = compressor.settle or (lambda before, after: after)
            state, x = settle(state, after), optax.apply_updates(x, updates)
            seen.append(Adam(x, state[0].mu, state[0].nu))
        return seen

    return jax.tree.map(np.asarray, over_members(run, *rounds))


def _signs(p, held):
    blocks, held = (each.reshape(*p.shape[:-1], -1, BLOCK) for each in (p, held))
    scales = np.abs(blocks).sum(-1) / np.maximum(1, held.sum(-1))
    return (np.sign(blocks + 1e-300) * scales[..., None] * held).reshape(p.shape)


class _Signs:
    """The mean of momenta by signs, with residuals at workers and servers."""

    def __init__(self, members, blocks):
        chunks = members if members > 2 else 1
        self.size = -(-blocks // chunks) * chunks * BLOCK
        self.two_phase = members > 2
        self.lost, self.owed = np.zeros((members, self.size)), np.zeros(self.size)

    def mean(self, leaves):
        flat = [leaf.reshape(len(leaf), -1) for leaf in leaves]
        full = [np.pad(v, ((0, 0), (0, -v.shape[1] % BLOCK))) for v in flat]
        whole = np.concatenate(full, 1)
        p = np.pad(whole, ((0, 0), (0, self.size - whole.shape[1]))) + self.lost
        ones = [
            np.pad(np.ones(v.shape[1], bool), (0, -v.shape[1] % BLOCK)) for v in flat
        ]
        held = np.pad(np.concatenate(ones), (0, self.size - whole.shape[1]))
        sent = _signs(p, np.broadcast_to(held, p.shape))
        self.lost, mean = p - sent, sent.mean(0)
        if self.two_phase:
            mean = mean + self.owed
            self.owed, mean = mean - _signs(mean, held), _signs(mean, held)
        parts = np.split(mean, np.cumsum([v.shape[1] for v in full])[:-1])
        parts = parts[: len(leaves)]
        return [
            part[: leaf[0].size].reshape(leaf.shape[1:])
            for part, leaf in zip(parts, leaves, strict=True)
        ]


def _by_hand(rounds, start):
    """1-bit Adam as it is defined, in fp64: momenta, not gradients, are what moves."""
    rounds = [[leaf.astype(np.float64) for leaf in values] for values in rounds]
    members = len(rounds[0][0])
    x, mu, nu = ([np.zeros(shape) for shape in SHAPES] for _ in range(3))
    signs, seen = _Signs(members, blocks=4), []
    for t, values in enumerate(rounds, start=1):
        mean = [leaf.mean(0) for leaf in values]
        moved = [B1 * m + (1 - B1) * g for m, g in zip(mu, mean, strict=True)]
        if t > start:
            mine = [B1 * m + (1 - B1) * g for m, g in zip(mu, values, strict=True)]
            moved[1:] = signs.mean(mine[1:])
        given = [(m - B1 * old) / (1 - B1) for m, old in zip(moved, mu, strict=True)]
        squares = [B2 * n + (1 - B2) * g**2 for n, g in zip(nu, given, strict=True)]
        fading = (1 - B2**t) / (1 - B2 ** (t - 1)) if t > start else None
        x = [
            p - LR * (m / (1 - B1**t)) / (np.sqrt(n / (1 - B2**t)) + EPS)
            for p, m, n in zip(x, moved, squares, strict=True)
        ]
        mu, nu = moved, squares if fading is None else [n * fading for n in nu]
        seen.append(Adam(x, mu, nu))
    return seen


@pytest.mark.parametrize("members", [1, 2, 4])
def test_onebit_is_numpy_s(members) -> None:
    rounds = drawn(members, rounds=5, shapes=SHAPES)
    found, wanted = _trained(rounds, start=2), _by_hand(rounds, start=2)
    for step, (one, other) in enumerate(zip(found, wanted, strict=True)):
        for name in Adam._fields:
            pairs = zip(getattr(one, name), getattr(other, name), strict=True)
            for leaf, hand in pairs:
                for copy in leaf:
                    message = f"{name} after step {step}"
                    np.testing.assert_allclose(
                        copy, hand, rtol=1e-4, atol=1e-5, err_msg=message
                    )


def test_warming_up_is_adam() -> None:
    rounds = drawn(2, shapes=SHAPES)
    one, optimizer = (
        _trained(rounds, start=3)[-1],
        optax.adam(LR, b1=B1, b2=B2, eps=EPS),
    )
    x = [np.zeros(shape, np.float32) for shape in SHAPES]
    state = optimizer.init(x)
    for values in rounds:
        updates, state = optimizer.update([leaf.mean(0) for leaf in values], state)
        x = optax.apply_updates(x, updates)
    for leaf, wanted in zip(one.x, x, strict=True):
        np.testing.assert_allclose(leaf[1], wanted, rtol=1e-4, atol=1e-6)


def test_residuals_are_zero_until_signs_cross() -> None:
    adam, rounds = Moments(B1, B2), drawn(2, rounds=3)
    _, warm = exchanged(onebit(warm=True, adam=adam, size=2), rounds)
    assert not warm.lost.worker.any()
    signed = onebit(warm=False, adam=adam, size=2)

    def go_on(wire, state, values):
        return signed.mean(values, state, wire, 0)[1]

    assert over_members(go_on, warm, rounds[0]).lost.worker.any()


def test_what_never_had_a_gradient_stands_still() -> None:
    adam, rounds = Moments(B1, B2), drawn(2, rounds=1)
    made, state = exchanged(onebit(warm=False, adam=adam, size=2), rounds)
    assert not any(leaf.any() for leaf in made[0] if leaf.ndim > 2)
    assert not any(leaf.any() for leaf in jax.tree.leaves(state.momentum))


def test_frozen_finds_adam_wherever_it_stands() -> None:
    optimizer = optax.chain(optax.clip(1.0), optax.adamw(LR, b2=B2))
    x = {"w": np.ones(3, np.float32)}
    state = optimizer.init(x)
    _, before = optimizer.update(x, state, x)
    _, after = optimizer.update(jax.tree.map(lambda v: -v, x), before, x)
    settled = frozen(before, after, B2)
    assert jax.tree.structure(settled) == jax.tree.structure(after)
    old, new, kept = (
        optax.tree_utils.tree_get(tree, "ScaleByAdamState")
        for tree in (before, after, settled)
    )
    wanted = old.nu["w"] * (1 - B2**2) / (1 - B2)
    np.testing.assert_allclose(kept.nu["w"], wanted, rtol=1e-6)
    np.testing.assert_array_equal(kept.mu["w"], new.mu["w"])
    assert int(kept.count) == 2


def test_frozen_keeps_the_digits_of_a_slow_moment() -> None:
    b2 = 0.999
    old = optax.ScaleByAdamState(jax.numpy.int32(1), (), np.ones(1, np.float32))
    new = old._replace(count=jax.numpy.int32(2))
    kept = frozen(old, new, b2).nu
    np.testing.assert_allclose(kept, (1 - b2**2) / (1 - b2), rtol=3e-7)


def test_only_adam_will_do() -> None:
    with pytest.raises(ValueError, match="`onebit` is a form of Adam"):
        compressor_of(OneBit(), Site(mesh_wire(AXIS, 2), TENSORS))
    state = optax.sgd(0.1, momentum=0.9).init(np.ones(3))
    with pytest.raises(ValueError, match=r"holds no `optax\.ScaleByAdamState`"):
        frozen(state, state, B2)


@pytest.mark.parametrize("warm", [True, False])
def test_what_is_no_number_stays_in_sight(warm) -> None:
    rounds = drawn(4, rounds=1)
    rounds[0][1][1, 2, 3] = np.nan
    [made], _ = exchanged(onebit(warm=warm, adam=Moments(B1, B2), size=4), rounds)
    assert np.isnan(made[1][:, 2, 3]).all()


def test_one_bit_a_value_crosses_after_the_warm_up() -> None:
    warm, signed = (
        onebit(warm=warm, adam=Moments(B1, B2), size=4) for warm in (True, False)
    )
    assert messages_of(warm, 4) == [("all-reduce", "f32", 30 + 28)]
    # Two leaves of a block each, padded to one block a member.
    assert messages_of(signed, 4) == [
        ("all-to-all", "u8", 4 * BLOCK // 8),
        ("all-to-all", "f32", 4),
        ("all-gather", "u8", BLOCK // 8),
        ("all-gather", "f32", 1),
    ]
