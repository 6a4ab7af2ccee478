"""What explain says of exchanges: their parts, messages, stages and equations."""

import pytest

from diamond.compiler.exchange.compression.onebit import onebit
from diamond.compiler.exchange.site import Moments
from diamond.compiler.explain import explain
from diamond.dsl.vocabulary import (
    Asynchronous,
    Delays,
    Local,
    Nesterov,
    NoCompression,
    OneBit,
    ParameterServer,
    PowerSgd,
    StaleSynchronous,
    Synchronous,
    TopK,
)
from tests.compiler.programs import program_of, scheme_over


def test_a_fragment_says_when_it_begins_and_what_it_holds() -> None:
    rule = Local(every=4, fragments=2)
    text = explain(program_of(scheme_over((2, rule, NoCompression()))).plan)
    assert "first at step 1; of the model: hidden/b, hidden/w" in text
    assert "first at step 3; of the model: out/b, out/w" in text


def test_a_whole_model_is_not_listed() -> None:
    plan = program_of(scheme_over((2, Synchronous(), NoCompression()))).plan
    assert "of the model" not in explain(plan)


def test_equal_messages_stand_on_one_line() -> None:
    server = (4, Synchronous(), NoCompression(), ParameterServer(shards=2))
    text = explain(program_of(scheme_over(server)).plan)
    [line] = [line.strip() for line in text.splitlines() if "permute" in line]
    assert line == "6 x collective-permute of f32[27] (108 B each)"


def test_the_stages_of_onebit_are_named_and_not_written_as_starts() -> None:
    plan = program_of(scheme_over((2, Synchronous(), OneBit(start=4)))).plan
    text = explain(plan)
    assert "onebit: plain Adam\n    every step, steps 0 to 3" in text
    assert "onebit: momentum as signs\n    every step, steps 4 to the end" in text
    assert "start = 0" not in text


def test_equations_leave_out_what_has_no_weight() -> None:
    adam = Moments(b1=0.0, b2=0.999)
    assert "u <- {y}" in onebit(warm=True, adam=adam, size=2).equations
    assert "{y} = u'" in onebit(warm=False, adam=adam, size=2).equations
    outer = Nesterov(lr=1.0, momentum=0.0)
    text = explain(program_of(scheme_over((2, Local(3, outer), NoCompression()))).plan)
    assert "    b <- d\n    x <- a - d\n" in text


def test_a_codec_that_compresses_nothing_says_so_and_why() -> None:
    plan = program_of(scheme_over((2, Synchronous(), PowerSgd(rank=500)))).plan
    text = explain(plan)
    assert "sum: nothing is compressed" in text
    assert (
        "4 of 4 tensors cross as they are: 2 vectors, "
        "2 less than twice as large as factors of rank 500" in text
    )


def test_what_is_excluded_is_counted_apart() -> None:
    codec = TopK(density=0.1, exclude=("out/*",))
    text = explain(program_of(scheme_over((2, Synchronous(), codec))).plan)
    assert "3 of 4 tensors cross as they are: 1 vectors, 2 excluded" in text


@pytest.mark.parametrize(
    ("rule", "line"),
    [
        (
            Asynchronous(max_staleness=3, delays=Delays("geometric", 2.0)),
            "tau drawn: geometric, mean 2, cut off at 3",
        ),
        (
            StaleSynchronous(bound=2),
            "w is drawn anew when the copy sends: uniform, mean 1, cut off at 2",
        ),
    ],
)
def test_the_law_of_delays_is_named(rule: object, line: str) -> None:
    plan = program_of(scheme_over((2, rule, NoCompression()))).plan
    assert line in explain(plan)
