"""Schemes and terms as text, and back."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import emit, format_term, parse_term
from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import (
    AUTO,
    Axis,
    Call,
    Distill,
    Ensemble,
    Int8,
    Link,
    Local,
    Mlp,
    Nesterov,
    Parallel,
    ParameterServer,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
)
from tests.dsl.drawn import members, schedules, schemes

FAMILIES = ("model", "data", "loss", "centralization", "consistency", "compression")


@given(schemes())
def test_emitted_text_loads_equal(scheme: Scheme) -> None:
    loaded, _ = load_text(emit(scheme))
    assert loaded == scheme


@given(schemes())
def test_emitting_is_canonical(scheme: Scheme) -> None:
    text = emit(scheme)
    assert emit(load_text(text)[0]) == text


@given(schemes())
def test_a_scheme_in_full_loads_equal_but_for_its_optimizer(scheme: Scheme) -> None:
    text = emit(scheme, in_full=True)
    loaded, _ = load_text(text)
    assert emit(loaded, in_full=True) == text
    train = dataclasses.replace(loaded.train, optimizer=scheme.train.optimizer)
    assert dataclasses.replace(loaded, train=train) == scheme


def test_what_is_distilled_is_written_last_and_read_back() -> None:
    scheme = Scheme(
        "a",
        mesh=(Axis("seat", 4),),
        parallelism=(Parallel(Ensemble("vote"), "seat"),),
        distill=Distill(Mlp(width=8), steps=20, temperature=3.0),
    )
    for in_full in (False, True):
        text = emit(scheme, in_full=in_full)
        assert "distill {" in text.split("ensemble(consolidation = vote)")[1]
        assert load_text(text)[0].distill == scheme.distill
    assert load_text(emit(scheme))[0] == scheme


def test_a_scheme_in_full_leaves_no_default_out() -> None:
    rule = Scheduled(((Synchronous(), 5), (Local(every=2, outer=Nesterov()), None)))
    site = Replicas("site", ParameterServer(), rule, Int8())
    text = " ".join(emit(Scheme("a", replicas=(site,)), in_full=True).split())
    for written in (
        "train { optimizer = adam( lr = 0.001, b1 = 0.9, b2 = 0.999, eps = 1e-08,",
        "loss = cross_entropy",
        "precision = fp32",
        "centralization = parameter_server(backup = 0)",
        "synchronous for 5 steps, then local( every = 2,",
        "outer = nesterov(lr = 0.7, momentum = 0.9),",
        "merge = 0.0",
        "int8(block = 256, feedback = true, exclude = [])",
    ):
        assert written in text


def test_a_link_in_full_has_its_latency() -> None:
    scheme = Scheme("a", hardware=(Link("site", 1e9),))
    assert "link site = 1 Gbit/s, 0 s" in emit(scheme, in_full=True)


@given(st.data())
def test_formatted_term_parses_equal(data: st.DataObject) -> None:
    family = data.draw(st.sampled_from(FAMILIES))
    term = data.draw(schedules(members(family)))
    assert parse_term(family, format_term(term)) == term


def test_terms_leave_defaults_out() -> None:
    assert format_term(Local(every=50)) == "local(every = 50)"
    assert format_term(Int8()) == "int8"
    assert format_term(Int8(exclude=("a", "b"))) == 'int8(exclude = ["a", "b"])'
    assert format_term(AUTO) == "auto"
    assert format_term(Local(every=5, outer=Nesterov(lr=0.5))) == (
        "local(every = 5, outer = nesterov(lr = 0.5))"
    )
    assert format_term(Scheduled(((Synchronous(), 9), (Int8(block=8), None)))) == (
        "synchronous for 9 steps, then int8(block = 8)"
    )


def test_optimizers_nest_schedules() -> None:
    call = Call(
        "adamw",
        (
            (
                "lr",
                Call(
                    "cosine_decay_schedule", (("init_value", 0.1), ("decay_steps", 9))
                ),
            ),
            ("nesterov", True),
        ),
    )
    text = format_term(call)
    assert text == (
        "adamw(lr = cosine_decay_schedule(init_value = 0.1, "
        "decay_steps = 9), nesterov = true)"
    )
    assert parse_term("optimizer", text) == call


@pytest.mark.parametrize(
    "text", ["", "int8(", "int8; none", "int9", "3", "int8(block=0)"]
)
def test_no_term(text: str) -> None:
    with pytest.raises(SchemeError) as refusal:
        parse_term("compression", text)
    span = refusal.value.diagnostics[0].span
    assert span is not None
    assert span.start <= len(text)


def test_blocks_of_an_emitted_scheme() -> None:
    scheme = Scheme("a", mesh=(Axis("host", 2),), replicas=(Replicas("host"),))
    assert emit(scheme) == (
        "scheme a\n\nmesh {\n  host = 2\n}\n\nreplicas over host { }\n"
    )
