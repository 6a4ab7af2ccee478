"""`synchronous`: training on the whole batch, and codecs written out by hand."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import AllReduce, Int8, PowerSgd, Synchronous
from diamond.runtime.engines.reference.vectors import flatten
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    close,
    engine_of,
    members,
    plainly_trained,
    run,
    trained,
)
from tests.schemes import OPTIMIZERS, tiny_task


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("size", [1, 8])
def test_it_is_training_on_the_whole_batch(optimizer, size):
    x = plainly_trained(tiny_task("fp64", optimizer), 20)
    got = run(On(size), steps=20, optimizer=optimizer)
    close(got, np.tile(flatten(x), (size, 1)))


def test_one_member_in_fp32_is_plain_training():
    x = plainly_trained(tiny_task("fp32", ADAM), 20)
    state = trained(engine_of(optimizer=ADAM, precision="fp32"), 20)
    assert members(state).dtype == np.float32
    close(members(state)[0], flatten(x), 1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("algorithm", ["ring", "tree", "two_phase"])
def test_the_algorithm_changes_no_value(algorithm):
    who, codec = AllReduce(algorithm=algorithm), PowerSgd(rank=1)
    if algorithm == "two_phase":
        codec = Int8(4)
    got = run(On(4, codec=codec, who=who), steps=5)
    close(got, run(On(4, codec=codec), steps=5))


@pytest.mark.usefixtures("x64")
def test_the_inner_axis_exchanges_before_the_outer_one():
    hand, e = ByHand(4), [np.zeros(60), np.zeros(60)]
    for step in range(5):
        g = hand.gradients(step)
        pairs = [_pad_tiny((g[i] + g[i + 1]) / 2)[:60] for i in (0, 2)]
        asked = [p + owed for p, owed in zip(pairs, e, strict=True)]
        given = [_int8_of_fours(p) for p in asked]
        e = [p - c for p, c in zip(asked, given, strict=True)]
        hand.update([_strip_tiny((given[0] + given[1]) / 2)] * 4)
    close(run(On(2, codec=Int8(4)), On(2), steps=5), hand.x)


@pytest.mark.usefixtures("x64")
def test_feedback_in_two_phases_by_hand():
    # Four members, so that each serves a quarter: 53 values pad to 60, then to 64.
    hand = ByHand(4)
    e, s = [np.zeros(64)] * 4, np.zeros(64)
    for step in range(6):
        padded = [_pad_tiny(g) for g in hand.gradients(step)]
        asked = [p + owed for p, owed in zip(padded, e, strict=True)]
        given = [_int8_of_fours(p) for p in asked]
        e = [p - c for p, c in zip(asked, given, strict=True)]
        m = sum(c / 4 for c in given) + s
        out = _int8_of_fours(m)
        s = m - out
        hand.update([_strip_tiny(out)] * 4)
    state = trained(engine_of(On(4, Synchronous(), Int8(4))), 6)
    close(members(state), hand.x)
    close(np.stack([r.worker for r in state.codecs[0][0][0]]), e)
    close(np.concatenate([r.server for r in state.codecs[0][0][0]]), s)


def _pad_tiny(vector):
    """Leaves in order: hidden b [5], hidden w [30], out b [3], out w [15]."""
    leaves = np.split(vector, [5, 35, 38])
    fill = [3, 2, 1, 1 + 4]
    return np.concatenate(
        [np.pad(v, (0, n)) for v, n in zip(leaves, fill, strict=True)]
    )


def _strip_tiny(vector):
    return np.concatenate([vector[:5], vector[8:38], vector[40:43], vector[44:59]])


def _int8_of_fours(p):
    out = np.empty_like(p)
    for at in range(0, len(p), 4):
        scale = float(np.float32(max(abs(p[at : at + 4])) / 127)) or 1.0
        for i in range(at, at + 4):
            out[i] = max(-127, min(127, round(p[i] / scale))) * scale
    return out
