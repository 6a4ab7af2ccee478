"""The time line of an axis: which agreements share what a codec remembers."""

import pytest

from diamond.compiler.timeline import agreements_of
from diamond.dsl.vocabulary import (
    AllReduce,
    Dgc,
    Gossip,
    Int8,
    Local,
    NoCompression,
    OneBit,
    Pipelined,
    PowerSgd,
    Replicas,
    Scheduled,
    Sign,
    Synchronous,
)


def _then(*phases):
    """Phases of 10 steps each."""
    return Scheduled((*((one, 10) for one in phases[:-1]), (phases[-1], None)))


RING, TWO = AllReduce(algorithm="ring"), AllReduce(algorithm="two_phase")
MEAN, VOTE = AllReduce(), AllReduce(reduce="majority")
SYNC = Synchronous()


@pytest.mark.parametrize(
    ("who", "when", "form", "residuals"),
    [
        (_then(TWO, MEAN), SYNC, OneBit(start=5), [0, 0, 0]),
        (_then(TWO, MEAN), SYNC, Dgc(warmup=4), [0] * 6),
        (_then(RING, MEAN), SYNC, PowerSgd(start=5), [0, 1, 1]),
        (MEAN, _then(Pipelined(), SYNC), Int8(), [0, 0]),
        (MEAN, _then(SYNC, Local(5), Local(2)), Int8(), [0, 1, 2]),
        (_then(TWO, MEAN), Local(5), Int8(), [0, 0]),
        (MEAN, SYNC, _then(Int8(), Int8()), [0, 1]),
        (_then(MEAN, VOTE), SYNC, Sign(feedback=False), [0, 1]),
        (_then(MEAN, Gossip()), SYNC, NoCompression(), [0, 1]),
    ],
)
def test_a_codec_goes_on_while_it_is_of_the_same_thing(
    who, when, form, residuals
) -> None:
    block = Replicas("host", centralization=who, consistency=when, compression=form)
    merged = agreements_of(block)
    assert [each.residual for each in merged] == residuals
    for each in merged:
        assert each.residual_start == merged[each.residual].start
