"""Which rule and which codec goes with which centralization: the whole tables."""

import dataclasses

import pytest

from diamond.dsl.legality import legality
from diamond.dsl.vocabulary import (
    AllReduce,
    Bmuf,
    Call,
    Cast,
    Gossip,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    OneBit,
    ParameterServer,
    Scheme,
    Sign,
    Synchronous,
)
from diamond.dsl.vocabulary.tables import COMPRESSION, CONSISTENCY, row_of
from tests.dsl.legality.laid import axes, errors, form, then, when, who

RULES = [row.name for row in CONSISTENCY]
CODECS = [row.name for row in COMPRESSION]
ADAM = Call("adam", (("lr", 0.1),))
MAJORITY = AllReduce(reduce="majority")
ADASUM = AllReduce(reduce="adasum")
VOTED = Sign(feedback=False)

RULES_OF = {
    AllReduce(): set(RULES),
    AllReduce(algorithm="ring"): set(RULES),
    ADASUM: {"synchronous", "local"},
    MAJORITY: {"synchronous"},
    ParameterServer(): {"synchronous", "pipelined", "asynchronous", "hogwild"},
    Gossip(): {"synchronous", "local"},
}
VECTOR = {"none", "cast", "int8", "int4", "qsgd", "sign"}
ADDITIVE = {"none", "randomk", "powersgd", "gradiveq"}
CODECS_OF = {
    AllReduce(): set(CODECS),
    AllReduce(algorithm="two_phase"): set(CODECS),
    AllReduce(algorithm="ring"): ADDITIVE,
    AllReduce(algorithm="tree"): ADDITIVE,
    ADASUM: {"none"},
    MAJORITY: {"sign"},
    ParameterServer(): VECTOR,
    Gossip(): VECTOR - {"sign"},
}


def term(word: str, family: str) -> object:
    row = row_of(word, family)
    assert row is not None
    return row.term(every=10) if word == "local" else row.term()


def without_feedback(codec: object) -> object:
    if not hasattr(codec, "feedback"):
        return codec
    return dataclasses.replace(codec, feedback=False)  # type: ignore[type-var]


@pytest.mark.parametrize("word", RULES)
@pytest.mark.parametrize("center", RULES_OF, ids=str)
def test_rules_of_centralizations(center: object, word: str) -> None:
    codec = VOTED if center == MAJORITY else NoCompression()
    scheme = axes(who(center, consistency=term(word, "consistency"), compression=codec))
    assert errors(scheme) == ([] if word in RULES_OF[center] else ["D054"])


@pytest.mark.parametrize("word", CODECS)
@pytest.mark.parametrize("center", CODECS_OF, ids=str)
def test_codecs_of_centralizations(center: object, word: str) -> None:
    codec = without_feedback(term(word, "compression"))
    scheme = axes(who(center, compression=codec), optimizer=ADAM)
    assert errors(scheme) == ([] if word in CODECS_OF[center] else ["D055"])


@pytest.mark.parametrize("word", RULES)
def test_codecs_of_gradients(word: str) -> None:
    rule = term(word, "consistency")
    for codec, taken in [
        ("onebit", word == "synchronous"),
        ("dgc", word not in ("local", "elastic")),
        ("topk", True),
        ("powersgd", True),
    ]:
        scheme = axes(
            when(rule, compression=term(codec, "compression")), optimizer=ADAM
        )
        assert errors(scheme) == ([] if taken else ["D056"])


def test_the_pair_is_judged_where_the_two_meet_in_time() -> None:
    rule = then(Local(every=10, state="reset"), 100, Synchronous())
    codec = then(NoCompression(), 100, Sign())
    scheme = axes(when(rule, compression=codec, centralization=ADASUM))
    [finding] = [one for one in legality(scheme) if one.severity == "error"]
    assert finding.code == "D055"
    assert finding.path == ("replicas", "a", "compression", "1")
    served = then(Synchronous(), 100, Local(every=10))
    server = then(AllReduce(), 50, ParameterServer())
    paths = [
        one.path
        for one in legality(axes(when(served, centralization=server)))
        if one.code == "D054"
    ]
    assert paths == [("replicas", "a", "consistency", "1")]


@pytest.mark.parametrize(
    "rule",
    [
        Local(every=8, outer=Nesterov()),
        Local(every=8, outer=Bmuf()),
        Local(every=8, state="average"),
        Local(every=8, fragments=2),
        Local(every=8, delay=1),
        Local(every=8, merge=0.5),
    ],
)
def test_gossip_has_no_mean_for_an_outer_step(rule: Local) -> None:
    assert errors(axes(who(Gossip(), consistency=rule))) == ["D054"]


@pytest.mark.parametrize("codec", [Int8(), Cast(feedback=True)])
def test_gossip_has_no_feedback(codec: object) -> None:
    [finding] = legality(axes(who(Gossip(), compression=codec)))
    assert finding.code == "D084"
    assert finding.path == ("replicas", "a", "compression", "feedback")


def test_a_vote_has_no_feedback() -> None:
    assert errors(axes(who(MAJORITY, compression=Sign()))) == ["D084"]
    assert legality(axes(who(MAJORITY, compression=VOTED))) == ()


def test_codecs_of_a_server_and_of_allreduce_have_feedback() -> None:
    assert legality(axes(who(ParameterServer(), compression=Sign()))) == ()
    assert legality(axes(form(Int8()))) == ()


def test_a_biased_codec_without_feedback_is_warned_of() -> None:
    for word in CODECS:
        codec = without_feedback(term(word, "compression"))
        found = [one.code for one in legality(axes(form(codec), optimizer=ADAM))]
        biased = {"int8", "int4", "sign", "topk", "powersgd"}
        assert ("D061" in found) == (word in biased)
    assert legality(axes(who(Gossip(), compression=Int8(feedback=False)))) == ()


def test_onebit_needs_adam() -> None:
    for name, found in [("adam", []), ("adamw", []), ("nadam", ["D080"])]:
        optimizer = Call(name, (("lr", 0.1),))
        assert errors(axes(form(OneBit()), optimizer=optimizer)) == found


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [("nesterov", True, False), ("mu_dtype", "bfloat16", None)],
)
@pytest.mark.parametrize("word", ["adam", "adamw"])
def test_onebit_needs_the_plain_adam(
    word: str, name: str, value: object, plain: object
) -> None:
    def scheme(setting: object) -> Scheme:
        given = () if setting is None else ((name, setting),)
        optimizer = Call(word, (("lr", 0.1), *given))  # type: ignore[arg-type]
        return axes(form(OneBit()), optimizer=optimizer)

    [finding] = legality(scheme(value))
    assert (finding.code, finding.path) == ("D080", ("train", "optimizer", name))
    assert legality(scheme(plain)) == ()


def test_a_server_needs_an_optimizer_that_is_elementwise() -> None:
    for name, found in [("adamw", []), ("lamb", ["D080"]), ("muon", ["D080"])]:
        optimizer = Call(name, (("lr", 0.1),))
        assert errors(axes(who(ParameterServer()), optimizer=optimizer)) == found
        assert errors(axes({}, optimizer=optimizer)) == []


def test_an_unknown_optimizer_is_unknown_and_no_more() -> None:
    scheme = axes(who(ParameterServer()), optimizer=Call("lambb", (("lr", 0.1),)))
    assert errors(scheme) == ["D023"]
