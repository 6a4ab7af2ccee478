"""Rules about time and nesting, for all that is loose."""

import pytest

from diamond.dsl.legality import legality
from diamond.dsl.legality.timeline import segments, together
from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Call,
    Elastic,
    Gossip,
    Hogwild,
    Int8,
    Local,
    NoCompression,
    OneBit,
    ParameterServer,
    Pipelined,
    Replicas,
    Scheme,
    StaleSynchronous,
    Synchronous,
)
from tests.dsl.legality.laid import axes, errors, form, then, warnings, when, who

SYNC = Synchronous()
LOOSE = {
    "local": when(Local(every=4)),
    "elastic": when(Elastic(every=4)),
    "stale_synchronous": when(StaleSynchronous()),
    "gossip": who(Gossip()),
    "rare gossip": who(Gossip(), consistency=Local(every=4)),
}
TIGHT = {
    "synchronous": {},
    "pipelined": when(Pipelined()),
    "asynchronous": when(Asynchronous()),
    "hogwild": when(Hogwild()),
    "server": who(ParameterServer()),
}


@pytest.mark.parametrize("inner", LOOSE)
@pytest.mark.parametrize("outer", TIGHT)
def test_gradients_outside_of_what_is_loose(outer: str, inner: str) -> None:
    assert errors(axes(TIGHT[outer], LOOSE[inner])) == ["D045"]


@pytest.mark.parametrize("inner", sorted(set(TIGHT) - {"server"}))
@pytest.mark.parametrize("outer", LOOSE)
def test_what_is_loose_outside_of_gradients(outer: str, inner: str) -> None:
    assert errors(axes(LOOSE[outer], TIGHT[inner])) == []


PERIODS = {"local": 4, "elastic": 4, "gossip": 1, "rare gossip": 4}


@pytest.mark.parametrize("inner", LOOSE)
@pytest.mark.parametrize("outer", LOOSE)
def test_loose_in_loose(outer: str, inner: str) -> None:
    found = errors(axes(LOOSE[outer], LOOSE[inner]))
    if outer == "stale_synchronous":  # it exchanges gradients
        assert found == ["D045"]
    elif inner == "stale_synchronous":
        assert found == []
    else:
        assert found == (["D046"] if PERIODS[outer] % PERIODS[inner] else [])


@pytest.mark.parametrize("rule", [Local(every=6), Elastic(every=6)])
def test_periods_start_together(rule: object) -> None:
    late = then(SYNC, 9, Elastic(every=3))
    assert errors(axes(when(rule), when(late))) == []
    late = then(SYNC, 8, Elastic(every=3))
    assert errors(axes(when(rule), when(late))) == ["D047"]


@pytest.mark.parametrize(
    "scheme",
    [
        axes(when(then(Elastic(), 100, SYNC))),
        axes(when(then(StaleSynchronous(), 100, SYNC))),
        axes(when(then(StaleSynchronous(), 100, Local(every=5)))),
        axes(when(then(Local(every=10, merge=0.5), 100, Local(every=5)))),
        axes(who(then(Gossip(), 100, AllReduce()))),
        axes(who(Gossip(), consistency=then(SYNC, 100, Local(every=5)))),
        axes(who(Gossip(), compression=then(NoCompression(), 9, Int8(feedback=False)))),
        axes(who(then(ParameterServer(), 100, AllReduce()))),
        axes(who(then(AllReduce(), 100, ParameterServer()))),
        axes(
            form(then(NoCompression(), 100, OneBit())),
            optimizer=Call("adam", (("lr", 0.1),)),
        ),
    ],
)
def test_phases_in_the_wrong_place(scheme: Scheme) -> None:
    assert errors(scheme) == ["D059"]


@pytest.mark.parametrize(
    "scheme",
    [
        axes(when(then(SYNC, 100, Elastic()))),
        axes(when(then(Local(every=5), 100, Elastic()))),
        axes(when(then(Hogwild(), 100, StaleSynchronous()))),
        axes(when(StaleSynchronous(), compression=then(NoCompression(), 9, Int8()))),
        axes(who(then(AllReduce(), 100, Gossip()))),
        axes(who(then(AllReduce("mean", "ring"), 100, AllReduce("mean", "tree")))),
    ],
)
def test_phases_in_their_place(scheme: Scheme) -> None:
    assert errors(scheme) == []


@pytest.mark.parametrize("rule", [SYNC, Pipelined(), Asynchronous(), Hogwild()])
def test_gradients_after_local(rule: object) -> None:
    assert errors(axes(when(then(Local(every=5), 100, rule)))) == ["D049"]
    for state in ("average", "reset"):
        local = Local(every=5, state=state)
        assert errors(axes(when(then(local, 100, rule)))) == []


def test_one_axis_with_versions() -> None:
    assert errors(axes(when(Asynchronous()), when(Hogwild()))) == ["D082"]
    assert errors(axes(when(Hogwild()), {}, when(Hogwild()))) == ["D082"]
    twice = when(then(Asynchronous(), 100, Hogwild()))
    assert errors(axes(twice, when(Pipelined()))) == []


def test_servers_stand_outside() -> None:
    server = who(ParameterServer())
    assert errors(axes(server, {})) == []
    assert errors(axes(when(Local(every=5)), server)) == []
    assert errors(axes(server, server)) == ["D081"]
    assert errors(axes(when(StaleSynchronous()), server)) == ["D081"]


@pytest.mark.parametrize(
    "stream", [{"fragments": 4}, {"delay": 2}, {"merge": 0.5}], ids=str
)
def test_streaming_stands_alone(stream: dict[str, object]) -> None:
    rule = Local(every=40, **stream)  # type: ignore[arg-type]
    assert errors(axes(when(rule), {})) == []
    for other in LOOSE.values():
        assert "D083" in errors(axes(when(rule), other))
    late = when(then(SYNC, 400, Local(every=40)))
    found = legality(axes(late, when(rule)))
    [finding] = [one for one in found if one.code == "D083"]
    assert finding.path[-1] == next(iter(stream))
    kept = Local(every=40, state="reset", **stream)  # type: ignore[arg-type]
    assert errors(axes(when(kept))) == ["D058"]


def test_the_end_of_a_run() -> None:
    assert warnings(axes(when(Elastic(every=7)))) == []
    assert warnings(axes(when(Elastic(every=2000)))) == ["D062"]
    gossip = who(Gossip(), consistency=Local(every=7))
    assert warnings(axes(gossip)) == []
    assert warnings(axes(who(Gossip(), consistency=Local(every=1)))) == []
    assert warnings(axes(when(Local(every=7)))) == ["D063"]
    split = who(then(AllReduce("mean", "ring"), 9, AllReduce()))
    assert warnings(axes({**split, **when(Local(every=7))})) == ["D063"]


def test_segments_share_no_step_and_leave_none_out() -> None:
    site = Replicas(
        "site",
        consistency=then(SYNC, 5, Local(every=2)),
        compression=then(NoCompression(), 3, Int8(), 4, NoCompression()),
    )
    laid = segments(site, "consistency", "compression")
    assert [(one.start, one.stop) for one in laid] == [
        (0, 3),
        (3, 5),
        (5, 7),
        (7, None),
    ]
    assert [[part.index for part in one.parts] for one in laid] == [
        [0, 0],
        [0, 1],
        [1, 1],
        [1, 2],
    ]


def test_pairs_of_segments_are_those_that_overlap() -> None:
    scheme = axes(
        when(then(SYNC, 5, SYNC, 5, SYNC)), when(then(SYNC, 7, SYNC, 3, SYNC))
    )
    pairs = [
        (outer.start, inner.start) for outer, inner in together(scheme, "consistency")
    ]
    assert pairs == [(0, 0), (5, 0), (5, 7), (10, 10)]
