"""The mean of codes over members, against NumPy's: gathered and in two phases."""

import math
from fnmatch import fnmatch

import jax
import numpy as np
import pytest

from diamond.compiler.exchange.bucket import padded
from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.tables import codec_of
from diamond.dsl.vocabulary import (
    Cast,
    Int4,
    Int8,
    Local,
    Qsgd,
    Sign,
    Synchronous,
)
from tests.compiler.exchange.numpy_codecs import SEED, through, uniform
from tests.compiler.exchange.rounds import drawn, exchanged, messages_of
from tests.compiler.programs import program_of, scheme_over

SHAPES = ((5,), (3, 7), (2, 8))
TERMS = [
    Cast(to="bf16", feedback=True),
    Int8(block=8),
    Int8(block=8, feedback=False),
    Int4(block=8),
    Int4(block=6, feedback=False),
    Qsgd(bits=2, bucket=8),
    Qsgd(bits=4, bucket=5),
    Qsgd(bits=8, bucket=8),
    Sign(block=8),
    Sign(block=16, feedback=False),
]
each_term = pytest.mark.parametrize("term", TERMS, ids=str)


def _laid(leaves, block, chunks):
    """Leaves end to end, each padded to whole blocks, all to whole chunks."""
    parts = [np.zeros(0, leaves[0].dtype)]
    for leaf in leaves:
        full = np.zeros(padded(leaf.size, block), leaf.dtype)
        full[: leaf.size] = leaf.ravel()
        parts.append(full)
    vector = np.concatenate(parts)
    return np.pad(vector, (0, padded(vector.size, block * chunks) - vector.size))


class _Lossy:
    """A codec with what it lost, by member (or server)."""

    def __init__(self, term) -> None:
        self.term, self.lost = term, {}

    def __call__(self, vector, count, member, held):
        told = held if isinstance(self.term, Sign) else None
        if isinstance(self.term, Qsgd):
            told = uniform(SEED, count, member, vector.size)
        if getattr(self.term, "feedback", False):
            vector = vector + self.lost.get(member, vector.dtype.type(0))
        made = through(self.term, vector, told)
        self.lost[member] = vector - made
        return made


def _cut(vector, block):
    """The leaves of a laid-out vector, flat."""
    leaves, start = [], 0
    for shape in SHAPES:
        size = math.prod(shape)
        leaves.append(vector[start : start + size])
        start += padded(size, block)
    return leaves


def _mean(parts):
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total * total.dtype.type(1 / len(parts))


def _expected(term, rounds, members, route):
    """The vectors that everyone holds after each exchange."""
    block, form, means = codec_of(term).block, _Lossy(term), []
    chunks = members if route == "two_phase" else 1
    held = _laid([np.ones(leaf.shape[1:], bool) for leaf in rounds[0]], block, chunks)
    for count, values in enumerate(rounds):
        sent = [
            form(_laid([leaf[i] for leaf in values], block, chunks), count, i, held)
            for i in range(members)
        ]
        mean = _mean(sent)
        if route == "two_phase":
            parts = zip(np.split(mean, members), np.split(held, members), strict=True)
            answers = [
                form(part, count, members + j, mine)
                for j, (part, mine) in enumerate(parts)
            ]
            mean = np.concatenate(answers)
        means.append(mean)
    return means


@each_term
@pytest.mark.parametrize(
    ("members", "route"),
    [(1, "gather"), (2, "gather"), (4, "two_phase")],
)
def test_means_are_numpy_s(term, members, route) -> None:
    rounds = drawn(members, shapes=SHAPES)
    block = codec_of(term).block
    compressor = coded(codec_of(term), members)
    made, _ = exchanged(compressor, rounds)
    for found, mean in zip(made, _expected(term, rounds, members, route), strict=True):
        for leaf, wanted in zip(found, _cut(mean, block), strict=True):
            for copy in leaf.reshape(members, -1):
                np.testing.assert_allclose(copy, wanted, rtol=1e-5, atol=1e-6)


@each_term
def test_means_in_fp64_are_numpy_s(term) -> None:
    with jax.enable_x64(True):
        rounds = [
            [leaf.astype(np.float64) for leaf in values]
            for values in drawn(4, rounds=2, shapes=((4, 8),), seed=3)
        ]
        made, _ = exchanged(coded(codec_of(term), 4), rounds)
    for [leaf], mean in zip(made, _expected(term, rounds, 4, "two_phase"), strict=True):
        assert leaf.dtype == np.float64
        np.testing.assert_allclose(leaf[0].ravel(), mean[:32], rtol=1e-12, atol=1e-12)


@each_term
@pytest.mark.parametrize("members", [1, 2, 4])
def test_the_route_is_the_one_that_sends_least(term, members) -> None:
    compressor = coded(codec_of(term), members)
    assert compressor.route == ("two_phase" if members > 2 else "gather")
    kinds = [kind for kind, _, _ in messages_of(compressor, members)]
    parts = 1 if isinstance(term, Cast) else 2
    two = [*["all-to-all"] * parts, *["all-gather"] * parts]
    assert kinds == {1: [], 2: ["all-gather"] * parts, 4: two}[members]


@pytest.mark.parametrize(
    ("term", "sent"),
    [
        (Int8(block=8), [("s8", 64), ("f32", 8)]),
        (Int4(block=8), [("u8", 32), ("f32", 8)]),
        (Qsgd(bits=2, bucket=8), [("u8", 16), ("f32", 8)]),
        (Qsgd(bits=4, bucket=16), [("u8", 32), ("f32", 4)]),
        (Qsgd(bits=8, bucket=8), [("u8", 64), ("f32", 8)]),
        (Sign(block=8), [("u8", 8), ("f32", 8)]),
        (Cast(to="fp8_e4m3"), [("u8", 64)]),
        (Cast(), [("u16", 64)]),
    ],
    ids=str,
)
def test_messages_hold_the_payload_and_a_chunk_of_it(term, sent) -> None:
    messages = messages_of(coded(codec_of(term), 4), 4, shapes=((8, 8),))
    first = [("all-to-all", dtype, elements) for dtype, elements in sent]
    second = [("all-gather", dtype, elements // 4) for dtype, elements in sent]
    assert messages == [*first, *second]


@pytest.mark.parametrize(
    "form",
    [
        Int4(block=8),
        Int4(block=8, exclude=("out/*",)),
        Qsgd(bits=2, bucket=16),
        Qsgd(bits=4, bucket=3),
        Sign(block=16),
        Sign(block=8, feedback=False, exclude=("hidden/w",)),
    ],
    ids=str,
)
def test_compiled_schemes_send_what_is_planned(form) -> None:
    for scheme in (
        scheme_over((4, Synchronous(), form)),
        scheme_over((2, Local(every=2), form), (2, Synchronous(), form)),
    ):
        program = program_of(scheme)
        program.certify()
        dense = sum(
            message.elements
            for message in program.plan.exchanges[0].messages
            if message.kind == "all-reduce"
        )
        sizes = {tensor.path: tensor.elements for tensor in program.plan.tensors}
        excluded = {path for path in sizes for p in form.exclude if fnmatch(path, p)}
        if isinstance(form, Sign):
            excluded |= {"hidden/b", "out/b"}
            excluded |= {path for path, size in sizes.items() if size < form.block}
        assert dense == sum(sizes[path] for path in excluded)
