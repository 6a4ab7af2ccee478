"""Schemes and terms as text, and back."""

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
    Int8,
    Local,
    Nesterov,
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
