"""Streaming: fragments of the model, sent in turns and merged late."""

import numpy as np
import pytest

from diamond.dsl.vocabulary import Bmuf, Int8, Local, Nesterov, NoCompression, SlowMo
from diamond.runtime.engines.reference import meaning
from diamond.runtime.engines.reference.consistency.fragments import fragments
from diamond.runtime.engines.reference.vectors import layout_of
from tests.runtime.engines.reference.runs import (
    ADAM,
    ByHand,
    On,
    Parabola,
    close,
    engine_of,
    members,
    run,
    trained,
)

DILOCO = Nesterov(lr=0.7, momentum=0.9)
HIDDEN, OUT = slice(0, 35), slice(35, 53)

pytestmark = pytest.mark.usefixtures("x64")


def test_a_layer_stays_whole_and_layers_take_turns():
    layer = {"mlp": {"w": 0.0}, "norm": 0.0}
    names = ("block0", "block1", "block2", "head")
    tree = {"blocks": dict.fromkeys(names, layer), "embed": {"w": 0.0}}
    paths = layout_of(tree).paths
    found = [[paths[k] for k in places] for places in fragments(tree, 2)]
    # Groups: blocks/block0, blocks/block1, blocks/block2, blocks, embed.
    assert {path.rpartition("/")[0].split("/mlp")[0] for path in found[0]} == {
        "blocks/block0",
        "blocks/block2",
        "embed",
    }
    assert len(found[0]) + len(found[1]) == len(paths)
    assert fragments({"w": 0.0}, 3) == ((0,), (), ())


@pytest.mark.parametrize("codec", [NoCompression(), Int8(8)])
@pytest.mark.parametrize("outer", [DILOCO, SlowMo(), Bmuf()])
def test_one_fragment_at_once_is_plain_local(monkeypatch, codec, outer):
    axis = On(4, Local(3, outer), codec)
    plain = run(axis, steps=9, optimizer=ADAM)
    monkeypatch.setattr(meaning, "is_streaming", lambda rule: isinstance(rule, Local))
    close(run(axis, steps=9, optimizer=ADAM), plain)


def test_fragments_late_and_by_shares_are_a_loop():
    # Fragment 0 is sent at the end of steps 1, 5, ... and merged at 2, 6, ...;
    # fragment 1 is sent at 3, 7, ... and merged at 4, 8, ...
    hand = ByHand(2, ADAM)
    anchor, b, sent = hand.x[0].copy(), np.zeros(53), np.zeros(53)
    for step in range(11):
        hand.update(hand.gradients(step))
        for turn, part in ((1, HIDDEN), (3, OUT)):
            if step >= turn and step % 4 == turn:
                mean = (hand.x[0] + hand.x[1]) / 2
                sent[part] = (anchor - mean)[part]
            if step > turn and step % 4 == (turn + 1) % 4:
                b[part] = 0.9 * b[part] + sent[part]
                anchor[part] -= 0.7 * (sent[part] + 0.9 * b[part])
                hand.x = [_merged(x, anchor, part) for x in hand.x]
    rule = Local(4, DILOCO, fragments=2, delay=1, merge=0.25)
    state = trained(engine_of(On(2, rule), optimizer=ADAM), 11)
    close(members(state), hand.x)
    for met in state.rules[0][0]:
        close(met.anchor, anchor)
        close(met.momentum, b)


def _merged(x, anchor, part):
    x = x.copy()
    x[part] = 0.25 * x[part] + 0.75 * anchor[part]
    return x


def test_a_late_merge_on_a_parabola_by_hand():
    # Targets 4 and 8, sgd(0.5), sent after 2 steps and merged one step later:
    #   0 -> 2 -> 3 and 0 -> 4 -> 6, d = -4.5, so the new anchor is 4.5;
    #   then 3 -> 3.5 and 6 -> 7, and halfway to the anchor: 4 and 5.75
    #   then 4 -> 4 and 5.75 -> 6.875, d = 4.5 - 5.4375 = -0.9375
    #   then 4 -> 4 and 6.875 -> 7.4375, halfway to 5.4375: 4.71875 and 6.4375
    seen = Parabola(On(2, Local(2, delay=1, merge=0.5))).steps([4, 8], 5)
    assert seen[:3] == [[2, 4], [3, 6], [4, 5.75]]
    assert seen[3:] == [[4, 6.875], [4.71875, 6.4375]]


def test_merging_nothing_is_staying_apart():
    alone = run(On(2, Local(50)), steps=8)
    close(run(On(2, Local(2, DILOCO, merge=1.0)), steps=8), alone)


def test_each_fragment_has_a_codec_memory_of_its_own():
    rule = Local(4, DILOCO, fragments=2)
    state = trained(engine_of(On(4, rule, Int8(4))), 3)
    hidden, out = state.codecs[0][0]
    assert all(r.worker.shape == (40 + 8,) and r.worker.any() for r in hidden)
    assert all(r.worker.shape == (4 + 16 + 12,) for r in out)
    assert not any(r.worker.any() for r in out)
