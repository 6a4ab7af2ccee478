"""Rules about numbers: sizes of axes, arguments of a term, what pays."""

import pytest

from diamond.dsl.legality import legality
from diamond.dsl.vocabulary import (
    AllReduce,
    Asynchronous,
    Call,
    Delays,
    Dgc,
    Gossip,
    Gradiveq,
    Hogwild,
    Local,
    NoCompression,
    OneBit,
    ParameterServer,
    PowerSgd,
    RandomK,
    Scheme,
    StaleSynchronous,
    TopK,
)
from tests.dsl.legality.laid import axes, errors, form, then, warnings, when, who

EVERY = set(range(1, 18))
POWERS = {1, 2, 4, 8, 16}
SIZES = {
    AllReduce(): EVERY,
    AllReduce(algorithm="ring"): EVERY,
    AllReduce(algorithm="tree"): POWERS,
    AllReduce(reduce="adasum"): POWERS,
    Gossip(topology="ring"): EVERY,
    Gossip(topology="exponential"): EVERY,
    Gossip(topology="complete"): EVERY,
    Gossip(topology="chain", push_sum=True): EVERY,
    Gossip(topology="hypercube"): POWERS,
    Gossip(topology="pairs"): {1} | {size for size in EVERY if size % 2 == 0},
    ParameterServer(): EVERY,
    ParameterServer(shards=5): EVERY - {1, 2, 3, 4},
    ParameterServer(backup=2): EVERY - {1, 2},
}


@pytest.mark.parametrize("center", SIZES, ids=str)
def test_sizes(center: object) -> None:
    for size in EVERY:
        found = errors(axes(who(center), size=size))
        assert found == ([] if size in SIZES[center] else ["D057"])


def test_a_huge_axis_is_judged_at_once() -> None:
    scheme = axes(who(AllReduce(reduce="adasum")), size=2**40 + 1)
    [finding] = [one for one in legality(scheme) if one.code == "D057"]
    assert finding.expected == f"a power of two of members, such as {2**41}"


@pytest.mark.parametrize(
    "scheme",
    [
        axes(who(Gossip(topology="chain"))),
        axes(who(AllReduce("adasum", "ring"))),
        axes(when(Local(every=10, fragments=3))),
        axes(when(Local(every=10, fragments=20))),
        axes(when(Local(every=10, fragments=2, delay=5))),
        axes(when(Local(every=10, delay=10))),
        axes(form(Gradiveq(slice=16, keep=17))),
        axes(form(OneBit(start=0)), optimizer=Call("adam", (("lr", 0.1),))),
    ],
)
def test_arguments_that_do_not_fit(scheme: Scheme) -> None:
    assert errors(scheme) == ["D058"]


@pytest.mark.parametrize(
    "scheme",
    [
        axes(who(Gossip(topology="chain", push_sum=True))),
        axes(when(Local(every=10, fragments=10))),
        axes(when(Local(every=10, fragments=2, delay=4)), steps=1204),
        axes(form(Gradiveq(slice=16, keep=15))),
        axes(form(Dgc(warmup=100))),
        axes(form(RandomK(density=0.9))),
        axes(form(TopK(density=0.2))),
        axes(form(TopK(density=1.0)), size=1),
        axes(when(Asynchronous(compensation="dc", strength=0.1))),
        axes(when(Asynchronous(delays=Delays("constant", 1.0)))),
        axes(form(then(PowerSgd(start=99), 100, NoCompression()))),
    ],
)
def test_arguments_that_fit(scheme: Scheme) -> None:
    assert legality(scheme) == ()


MOMENTUM = Call("sgd", (("lr", 0.1), ("momentum", 0.9)))
NONE = Call("sgd", (("lr", 0.1), ("momentum", 0.0)))
ADAM = Call("adam", (("lr", 0.1),))
MADGRAD = Call("madgrad", (("lr", 0.1),))
RMSPROP = Call("rmsprop", (("lr", 0.1),))


@pytest.mark.parametrize(
    ("optimizer", "found"),
    [
        (MOMENTUM, ["D069"]),
        (ADAM, ["D069"]),
        (MADGRAD, ["D069"]),
        (NONE, []),
        (RMSPROP, []),
        (Call("adagrad", (("lr", 0.1),)), []),
    ],
)
def test_two_momenta(optimizer: Call, found: list[str]) -> None:
    assert warnings(axes(form(Dgc()), optimizer=optimizer)) == found
    assert warnings(axes(form(Dgc(momentum=0.0)), optimizer=optimizer)) == []


@pytest.mark.parametrize(
    ("scheme", "code", "end"),
    [
        (axes(form(TopK(density=0.25))), "D068", "density"),
        (axes(form(Dgc(density=0.5))), "D068", "density"),
        (axes(form(Gradiveq(slice=8, keep=8))), "D068", "keep"),
        (axes(form(PowerSgd(start=1200))), "D065", "start"),
        (axes(form(Dgc(warmup=1300))), "D065", "warmup"),
        (axes(form(OneBit(start=1200)), optimizer=ADAM), "D065", "start"),
        (
            axes(form(then(PowerSgd(start=100), 100, NoCompression()))),
            "D065",
            "start",
        ),
        (axes(when(StaleSynchronous(bound=0))), "D066", "bound"),
        (axes(when(Asynchronous(max_staleness=0))), "D066", "max_staleness"),
        (axes(when(Hogwild(max_staleness=0))), "D066", "max_staleness"),
        (axes(when(Asynchronous(strength=0.1))), "D066", "strength"),
        (
            axes(when(Asynchronous(compensation="dc", strength=0.0))),
            "D066",
            "strength",
        ),
        (axes(when(StaleSynchronous(delays=Delays(mean=0.0)))), "D066", "delays"),
        (
            axes(when(Asynchronous(delays=Delays("constant", 0.4)))),
            "D066",
            "delays",
        ),
        (axes(when(Local(every=10, merge=1.0))), "D062", "merge"),
        (
            axes(who(AllReduce("mean", "two_phase"), compression=TopK(0.1))),
            "D066",
            "algorithm",
        ),
    ],
)
def test_what_has_no_effect(scheme: Scheme, code: str, end: str) -> None:
    [finding] = legality(scheme)
    assert (finding.code, finding.severity) == (code, "warning")
    assert finding.path[-1] == end
