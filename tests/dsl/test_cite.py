"""Citations: exactly those of what a scheme uses."""

import re

import pytest

from diamond.dsl.cite import bibtex, citations
from diamond.dsl.include import preset
from diamond.dsl.presets import PRESETS
from diamond.dsl.vocabulary import (
    FAMILIES,
    AllReduce,
    Asynchronous,
    Axis,
    Cast,
    Distill,
    Ensemble,
    Gossip,
    Int8,
    Local,
    Nesterov,
    NoCompression,
    Parallel,
    ParameterServer,
    Pipelined,
    Replicas,
    Scheduled,
    Scheme,
    Sign,
    SlowMo,
    Synchronous,
    TopK,
    Zero,
)
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.references import REFERENCES, reference

KEYS = [one.key for one in REFERENCES]


def keys(*replicas: Replicas) -> list[str]:
    axes = tuple(Axis(one.axis, 2) for one in replicas)
    return [one.key for one in citations(Scheme("a", mesh=axes, replicas=replicas))]


def on(center: object = None, rule: object = None, codec: object = None) -> Replicas:
    return Replicas(
        "a",
        centralization=center or AllReduce(),  # type: ignore[arg-type]
        consistency=rule or Synchronous(),  # type: ignore[arg-type]
        compression=codec or NoCompression(),  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("replicas", "cited"),
    [
        (on(), ["li2020pytorch"]),
        (on(AllReduce("mean", "ring")), ["patarasuk2009bandwidth", "li2020pytorch"]),
        (on(AllReduce("adasum")), ["maleki2021scaling", "li2020pytorch"]),
        (on(rule=Pipelined()), ["li2018pipe"]),
        (on(rule=Local(every=5)), ["stich2018local", "mcmahan2017communication"]),
        (
            on(rule=Local(every=5, outer=Nesterov())),
            ["stich2018local", "douillard2023diloco"],
        ),
        (
            on(rule=Local(every=5, outer=SlowMo(), delay=1)),
            ["stich2018local", "wang2020slowmo", "douillard2025streaming"],
        ),
        (
            on(rule=Local(every=5, state="average")),
            ["stich2018local", "mcmahan2017communication"],
        ),
        (
            on(Gossip(), rule=Local(every=5)),
            ["lian2017can", "assran2019stochastic", "stich2018local"],
        ),
        (
            on(rule=Scheduled(((Synchronous(), 9), (Local(every=3), None)))),
            [
                "stich2018local",
                "li2020pytorch",
                "mcmahan2017communication",
                "lin2020dont",
            ],
        ),
        (on(ParameterServer(), Pipelined()), ["li2014scaling", "li2018pipe"]),
        (
            on(ParameterServer(backup=1), Pipelined()),
            ["li2014scaling", "chen2016revisiting", "li2018pipe"],
        ),
        (on(rule=Asynchronous()), ["dean2012large"]),
        (
            on(rule=Asynchronous(compensation="dc")),
            ["dean2012large", "zheng2017asynchronous"],
        ),
        (on(Gossip(topology="ring")), ["lian2017can"]),
        (
            on(Gossip("ring", push_sum=True), codec=Int8(feedback=False)),
            [
                "lian2017can",
                "assran2019stochastic",
                "dettmers2016bit",
                "koloskova2019decentralized",
            ],
        ),
        (on(rule=Pipelined(), codec=Cast()), ["li2018pipe"]),
        (
            on(rule=Pipelined(), codec=Cast("fp8_e5m2", feedback=True)),
            ["li2018pipe", "micikevicius2022fp8", "zheng2019communication"],
        ),
        (
            on(rule=Pipelined(), codec=Sign()),
            [
                "li2018pipe",
                "bernstein2018signsgd",
                "karimireddy2019error",
                "zheng2019communication",
            ],
        ),
        (
            on(AllReduce("majority"), codec=Sign(feedback=False)),
            ["bernstein2018signsgd", "bernstein2019majority", "li2020pytorch"],
        ),
    ],
)
def test_what_is_cited(replicas: Replicas, cited: list[str]) -> None:
    assert keys(replicas) == cited


def test_the_outermost_axis_comes_first_and_nothing_comes_twice() -> None:
    inner, outer = preset("easgd", "inner"), preset("fedavg", "outer")
    mesh = (Axis("outer", 2), Axis("inner", 2), Axis("chip", 2))
    chips = Replicas("chip", consistency=Local(every=2), compression=TopK())
    scheme = Scheme("a", mesh=mesh, replicas=(inner, chips, outer))
    assert [one.key for one in citations(scheme)] == [
        "stich2018local",
        "mcmahan2017communication",
        "zhang2015deep",
        "stich2018sparsified",
        "alistarh2018convergence",
    ]


@pytest.mark.parametrize("name", [one.name for one in PRESETS])
def test_every_preset_has_a_paper(name: str) -> None:
    assert keys(preset(name, "a"))


def test_nothing_is_cited_where_nothing_is_copied() -> None:
    assert keys() == []


def test_every_key_is_a_papers_and_every_paper_is_cited() -> None:
    rows = [row for family in FAMILIES.values() for row in family]
    named = {key for row in rows for key in row.cites}
    for row in rows:
        for field in fields_of(row.term):
            named |= {key for _, key in field.meaning.cites}
    own = {
        "hinton2015distilling",
        "li2020pytorch",
        "mcmahan2017communication",
        "koloskova2019decentralized",
        "lin2020dont",
    }
    assert named | own == set(KEYS)


def test_the_table_is_sorted_and_its_facts_have_their_form() -> None:
    assert sorted(set(KEYS)) == KEYS
    for one in REFERENCES:
        assert re.fullmatch(r"[a-z]+(19|20)\d\d[a-z0-9]+", one.key)
        assert all(re.fullmatch(r"[\w.' -]+", author) for author in one.authors)
        assert 1990 <= one.year < 2030
        assert (one.venue is None) == (one.kind == "misc")
        if one.eprint:
            assert re.fullmatch(r"\d{4}\.\d{4,5}", one.eprint)
            assert 2000 + int(one.eprint[:2]) <= one.year


def test_an_entry_of_bibtex() -> None:
    assert bibtex(reference("niu2011hogwild")) == (
        "@inproceedings{niu2011hogwild,\n"
        "  title         = {{HOGWILD!: A Lock-Free Approach to Parallelizing "
        "Stochastic Gradient Descent}},\n"
        "  author        = {Feng Niu and Benjamin Recht and Christopher R{\\'e} and "
        "Stephen J. Wright},\n"
        "  booktitle     = {Advances in Neural Information Processing Systems},\n"
        "  year          = {2011},\n"
        "  eprint        = {1106.5730},\n"
        "  archiveprefix = {arXiv},\n"
        "}"
    )


def test_an_entry_is_plain_ascii_with_balanced_braces() -> None:
    for one in REFERENCES:
        entry = bibtex(one)
        assert entry.isascii()
        assert entry.count("{") == entry.count("}")


def test_what_is_distilled_is_cited_last() -> None:
    seats = Parallel(Ensemble("vote"), "seat")
    scheme = Scheme(
        "a", mesh=(Axis("seat", 2),), parallelism=(seats,), distill=Distill()
    )
    assert [one.key for one in citations(scheme)] == [
        "lakshminarayanan2017simple",
        "hansen1990neural",
        "hinton2015distilling",
    ]


def test_a_codec_under_zero_is_cited_after_it() -> None:
    def cited(term: Zero) -> list[str]:
        laid = (Parallel(term, "host"),)
        scheme = Scheme("a", mesh=(Axis("host", 2),), parallelism=laid)
        return [one.key for one in citations(scheme)]

    assert cited(Zero()) == ["rajbhandari2020zero"]
    assert cited(Zero(2, Int8(feedback=False))) == [
        "rajbhandari2020zero",
        "wang2023zero",
        "dettmers2016bit",
    ]
