"""What has no meaning is refused, and everything else is not."""

import pytest

from diamond.dsl.vocabulary import (
    AUTO,
    AllReduce,
    Asynchronous,
    Average,
    Axis,
    Cast,
    Coded,
    Dgc,
    Elastic,
    Expert,
    Gossip,
    Gradiveq,
    Hogwild,
    Int4,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    OneBit,
    Parallel,
    ParameterServer,
    Pipeline,
    Pipelined,
    PowerSgd,
    Qsgd,
    RandomK,
    Replicas,
    Scheme,
    Sign,
    StaleSynchronous,
    Synchronous,
    Ternary,
    TopK,
)
from diamond.runtime.engines.reference.timeline import axes_of
from tests.runtime.engines.reference.runs import ADAM, SGD, On, scheme_of, then

ANY = (NoCompression(), Cast(), Int8(), Int4(), Qsgd(), Sign())
MEANS = (Ternary(), TopK(), RandomK(), PowerSgd(), Gradiveq(slice=4, keep=2))
FORGETFUL = (
    NoCompression(),
    Cast(),
    Int8(feedback=False),
    Int4(feedback=False),
    Qsgd(),
)
TIGHT = (Synchronous(), Pipelined(), Asynchronous(), Hogwild())
ADASUM, MAJORITY = AllReduce("adasum"), AllReduce("majority")
RING, TREE = AllReduce(algorithm="ring"), AllReduce(algorithm="tree")
VOTES = Sign(feedback=False)

MEANINGFUL = [
    *(On(3, rule, c) for rule in TIGHT for c in (*ANY, *MEANS, Dgc())),
    *(On(3, StaleSynchronous(), c) for c in (*ANY, *MEANS, Dgc())),
    *(On(3, rule, c) for rule in (Local(2), Elastic()) for c in (*ANY, *MEANS)),
    *(On(3, rule, c, ParameterServer(backup=2)) for rule in TIGHT for c in ANY),
    *(On(4, Synchronous(), c, Gossip(t)) for c in FORGETFUL for t in ("ring", "pairs")),
    On(4, Local(3), who=Gossip("chain", push_sum=True)),
    On(1, who=Gossip("pairs")),
    On(4, who=ADASUM),
    On(1, Local(3, Nesterov(), "average"), who=ADASUM),
    On(3, codec=VOTES, who=MAJORITY),
    On(3, codec=OneBit()),
    On(3, codec=then(OneBit(), 9, Int8())),
    *(On(3, codec=c, who=RING) for c in (NoCompression(), *MEANS[2:])),
    On(4, who=TREE),
    On(2, Local(6, fragments=3, delay=1, merge=0.5)),
    On(2, then(Synchronous(), 5, StaleSynchronous())),
    On(2, then(Local(5), 5, Elastic())),
    On(2, who=then(AllReduce(), 5, Gossip())),
]
MEANINGLESS = [
    On(2, Synchronous(), AUTO),
    On(2, AUTO),
    On(2, who=AUTO),
    On(2, StaleSynchronous(), who=ParameterServer()),
    On(2, Local(2), who=ParameterServer()),
    On(2, codec=TopK(), who=ParameterServer()),
    On(2, who=ParameterServer(backup=2)),
    On(2, Local(2), Dgc()),
    On(2, Elastic(), Dgc()),
    On(2, Local(2), OneBit()),
    On(2, Pipelined(), OneBit()),
    On(2, codec=then(Int8(), 4, OneBit())),
    On(3, who=ADASUM),
    On(2, codec=Int8(), who=ADASUM),
    On(2, Pipelined(), who=ADASUM),
    On(2, codec=Sign(), who=MAJORITY),
    On(2, Local(2), VOTES, MAJORITY),
    On(2, codec=Int8(), who=RING),
    On(3, who=TREE),
    On(2, Pipelined(), who=Gossip()),
    On(2, Local(2, Nesterov()), who=Gossip()),
    On(2, Local(2, Average(), "reset"), who=Gossip()),
    On(2, codec=Int8(), who=Gossip()),
    On(2, codec=VOTES, who=Gossip()),
    On(3, who=Gossip("hypercube")),
    On(3, who=Gossip("pairs")),
    On(3, who=Gossip("chain")),
    On(2, who=then(Gossip(), 5, AllReduce())),
    On(2, then(StaleSynchronous(), 5, Synchronous())),
    On(2, then(Elastic(), 5, Local(2))),
    On(2, Local(4, fragments=3)),
    On(2, Local(4, fragments=2, delay=2)),
    On(2, Local(4, Average(), "average", fragments=2)),
]


@pytest.mark.parametrize("axis", MEANINGFUL)
def test_what_goes_together_is_taken(axis):
    assert axes_of(scheme_of(axis, optimizer=ADAM))[0].size == axis.size


@pytest.mark.parametrize("axis", MEANINGLESS)
def test_what_does_not_is_refused(axis):
    with pytest.raises(ValueError, match="no meaning is written down for"):
        axes_of(scheme_of(axis, optimizer=ADAM))


@pytest.mark.parametrize(
    "axes",
    [
        (On(2, Asynchronous()), On(2, Hogwild())),
        (On(2, Local(4, fragments=2)), On(2, Local(2))),
        (On(2, who=Gossip()), On(2, Local(2, delay=1))),
        (On(2, Elastic()), On(2, Local(2, merge=0.5))),
        (On(2), On(2, who=ParameterServer())),
    ],
)
def test_axes_that_do_not_go_together_are_refused(axes):
    with pytest.raises(ValueError, match="these axes together"):
        axes_of(scheme_of(*axes))


@pytest.mark.parametrize(
    "axes",
    [
        (On(2, Local(4, fragments=2)), On(2)),
        (On(2, Local(4)), On(2, Elastic(2))),
        (On(2, who=ParameterServer()), On(2)),
        (On(2, Local(2)), On(2, who=ParameterServer())),
        (On(2, Asynchronous()), On(2, Pipelined())),
    ],
)
def test_other_axes_go_together(axes):
    assert len(axes_of(scheme_of(*axes))) == 2


def test_one_bit_needs_adam():
    with pytest.raises(ValueError, match="`onebit` without Adam"):
        axes_of(scheme_of(On(2, codec=OneBit()), optimizer=SGD))


def test_axes_without_a_meaning_are_refused():
    mesh = (Axis("a", 2),)
    coded = Replicas("a", redundancy=Coded())
    with pytest.raises(ValueError, match="axes without a role"):
        axes_of(Scheme("s", mesh=mesh))
    staged = (Parallel(Expert(), "a"), Parallel(Pipeline(), "b"))
    with pytest.raises(ValueError, match="`expert` beside these"):
        axes_of(Scheme("s", mesh=(*mesh, Axis("b", 2)), parallelism=staged))
    with pytest.raises(ValueError, match="off the mesh"):
        axes_of(Scheme("s", mesh=mesh, replicas=(Replicas("a"), Replicas("b"))))
    with pytest.raises(ValueError, match="redundancy"):
        axes_of(Scheme("s", mesh=mesh, replicas=(coded,)))
