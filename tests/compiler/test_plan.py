"""The plan's arithmetic: what is due when, bytes and seconds on the wire."""

from dataclasses import replace

import pytest

from diamond.compiler.plan import Agreement, Exchange, MeshAxis, Message, Plan
from diamond.dsl.vocabulary import AllReduce, Local, NoCompression


def _exchange(start: int, stop: int | None, clause_start: int, every: int) -> Exchange:
    agreed = Agreement(
        "site",
        start,
        stop,
        0,
        clause_start,
        0,
        start,
        AllReduce(),
        Local(every=every),
        NoCompression(),
    )
    sent = (Message("all-reduce", "f32", 1000),)
    return Exchange(
        "site.parameters", "parameters", every, every - 1, agreed, messages=sent
    )


@pytest.mark.parametrize(
    ("start", "stop", "clause_start", "every"),
    [(0, None, 0, 1), (0, None, 0, 7), (5, None, 5, 3), (8, 20, 2, 4), (3, 9, 3, 2)],
)
def test_num_due_counts_the_steps_that_are_due(
    start, stop, clause_start, every
) -> None:
    exchange = _exchange(start, stop, clause_start, every)
    for steps in (1, 4, 9, 10, 23, 50):
        due = [step for step in range(steps) if exchange.turn_at(step) is not None]
        assert exchange.num_due(steps) == len(due)
    assert exchange.first_due == (due[0] if due else None)


def test_turns_go_on_where_only_the_way_of_the_messages_changes() -> None:
    """Turns count from the step at which the codec's memory began, not from `start`."""
    exchange = _exchange(4, 9, 0, 1)
    agreed = replace(exchange.agreement, residual_start=0)
    sent = tuple(Message("all-reduce", "f32", 10, turn) for turn in range(3))
    exchange = replace(exchange, agreement=agreed, turns=(0, 1, 2), messages=sent)
    assert [exchange.turn_at(step) for step in range(4, 9)] == [1, 2, 0, 1, 2]
    often = [times for _, times in exchange.sent_on_average(10)]
    assert often == [1 / 10, 2 / 10, 2 / 10]


@pytest.mark.parametrize(
    ("kind", "sent", "hops"),
    [("all-reduce", 600, 6), ("all-gather", 1200, 3), ("all-to-all", 300, 3)],
)
def test_a_message_of_400_bytes_among_four(kind, sent, hops) -> None:
    message = Message(kind, "f32", 100)
    assert message.wire_bytes(4) == sent
    assert message.hops(4) == hops


def test_wire_bytes_and_seconds_are_means_over_the_run() -> None:
    axes = (MeshAxis("site", 2, True, bandwidth=8e3, latency=0.5),)
    exchange = _exchange(0, None, 0, 5)
    plan = Plan(
        "a",
        10,
        8,
        "fp32",
        "sgd",
        axes=axes,
        agreements=(exchange.agreement,),
        exchanges=(exchange,),
    )
    assert plan.wire_bytes() == {"site": 4000 * 2 / 10}
    assert plan.wire_seconds() == {"site": pytest.approx((4.0 + 2 * 0.5) * 2 / 10)}
