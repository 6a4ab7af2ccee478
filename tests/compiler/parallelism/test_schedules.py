"""Schedules as data: what they promise, and that broken ones are refused."""

import dataclasses
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diamond.compiler.parallelism.schedules.laying import laid
from diamond.compiler.parallelism.schedules.picture import picture
from diamond.compiler.parallelism.schedules.slots import NOWHERE, rows_of
from diamond.compiler.parallelism.schedules.table import Table, Work
from diamond.compiler.parallelism.schedules.tables import SCHEDULES, table_of
from diamond.compiler.parallelism.schedules.verify import verify
from diamond.dsl.vocabulary import Pipeline

STAGES, MICROBATCHES, CHUNKS = st.integers(1, 6), st.integers(1, 14), st.integers(1, 4)


def _made(schedule: str, stages: int, microbatches: int, chunks: int = 1) -> Table:
    return SCHEDULES[schedule](stages, microbatches, chunks)


def _waiting(table: Table, lengths: dict[str, int]) -> Fraction:
    """Idle share where kinds of work take some time each and nobody waits for ticks.

    Times are taken anew from the order of each stage, by what each work needs.
    """
    ends: dict[tuple[str, int, int], int] = {}
    free = [0] * table.stages
    last = table.stages * table.chunks - 1
    for _, stage, work in table.works():
        place, m = table.place(stage, work), work.microbatch
        needs = {"F": [("F", m, place - 1)], "W": [("B", m, place)]}.get(
            work.kind, [("F", m, place), ("B", m, place + 1)]
        )
        needs = [key for key in needs if 0 <= key[2] <= last]
        start = max([free[stage], *(ends[key] for key in needs)])
        free[stage] = ends[work.kind, m, place] = start + lengths[work.kind]
    busy = sum(lengths[work.kind] for _, _, work in table.works())
    return 1 - Fraction(busy, max(free) * table.stages)


@given(STAGES, MICROBATCHES)
def test_bubble_with_forwards_as_long_as_backwards(stages: int, num: int) -> None:
    expected = (stages - 1) / (num + stages - 1)
    for schedule in ("gpipe", "one_f_one_b"):
        assert _made(schedule, stages, num).bubble == pytest.approx(expected, abs=1e-12)


@given(STAGES, st.integers(1, 4), CHUNKS)
def test_chunks_divide_the_bubble(stages: int, groups: int, chunks: int) -> None:
    num = stages * groups
    table = _made("interleaved", stages, num, chunks)
    expected = (stages - 1) / (chunks * num + stages - 1)
    assert table.bubble == pytest.approx(expected, abs=1e-12)


@given(st.integers(2, 6), MICROBATCHES)
def test_zero_bubble_waits_less(stages: int, num: int) -> None:
    # The same units on both sides: F, B and W one each, and a whole backward two.
    split = _waiting(_made("zero_bubble", stages, num), {"F": 1, "B": 1, "W": 1})
    whole = _waiting(_made("one_f_one_b", stages, num), {"F": 1, "B": 2})
    assert split < whole == Fraction(stages - 1, num + stages - 1)
    if num >= stages:
        assert split == Fraction(stages - 1, 3 * num + stages - 1)


@given(STAGES, MICROBATCHES)
def test_microbatches_held(stages: int, num: int) -> None:
    for stage in range(stages):
        assert _made("gpipe", stages, num).held(stage) == num
        held = _made("one_f_one_b", stages, num).held(stage)
        assert held == min(num, stages - stage)
        assert _made("zero_bubble", stages, num).held(stage) <= stages


@given(st.sampled_from(list(SCHEDULES)), STAGES, st.integers(1, 3), CHUNKS)
def test_every_table_is_sound(
    schedule: str, stages: int, groups: int, chunks: int
) -> None:
    chunks = chunks if schedule == "interleaved" else 1
    table = _made(schedule, stages, stages * groups, chunks)
    verify(table)
    _replay(table)


def _replay(table: Table) -> None:
    """Follows values through the slots: each work finds what was made for it."""
    rows = rows_of(table)
    inputs: dict[tuple[int, int], tuple[int, int]] = {}
    gradients: dict[tuple[int, int], tuple[int, int]] = {}
    kept: dict[tuple[int, int], tuple[int, int]] = {}
    last = table.stages * table.chunks - 1
    for tick, column in enumerate(table.ticks):
        for stage, work in enumerate(column):
            if work is None:
                continue
            row, m = rows.rows[tick][stage], work.microbatch
            place = table.place(stage, work)
            assert (row.microbatch, row.place) == (m, place)
            if work.kind != "W" and place > 0:
                assert inputs[stage, row.input] == (m, place)
            if work.kind == "B" and place < last:
                assert gradients[stage, row.gradient] == (m, place)
            if work.kind == "B" and table.is_split:
                kept[stage, row.kept] = (m, place)
            if work.kind == "W":
                assert kept[stage, row.kept] == (m, place)
        for stage, row in enumerate(rows.rows[tick]):
            before, after = (stage - 1) % table.stages, (stage + 1) % table.stages
            if row.input_lands != NOWHERE:
                sent = column[before]
                assert sent is not None and sent.kind == "F"
                arrived = (sent.microbatch, table.place(before, sent) + 1)
                assert row.input_lands < rows.inputs
                inputs[stage, row.input_lands] = arrived
            if row.gradient_lands != NOWHERE:
                sent = column[after]
                assert sent is not None and sent.kind == "B"
                arrived = (sent.microbatch, table.place(after, sent) - 1)
                assert row.gradient_lands < rows.gradients
                gradients[stage, row.gradient_lands] = arrived


def test_buffers_are_of_the_size_that_a_schedule_promises() -> None:
    assert rows_of(_made("gpipe", 4, 16)).inputs == 16
    assert rows_of(_made("one_f_one_b", 4, 16)).inputs == 4
    assert rows_of(_made("zero_bubble", 4, 16))[1:] == (4, 1, 4)


def test_a_table_with_work_too_early_is_refused() -> None:
    table = _made("gpipe", 2, 2)
    first, second, *rest = table.ticks
    swapped = dataclasses.replace(table, ticks=(second, first, *rest))
    with pytest.raises(ValueError, match="comes before what it needs"):
        verify(swapped)


def test_a_table_that_does_something_twice_or_not_at_all_is_refused() -> None:
    table = _made("one_f_one_b", 2, 2)
    shorter = dataclasses.replace(table, ticks=table.ticks[:-1])
    with pytest.raises(ValueError, match="0 times"):
        verify(shorter)
    longer = dataclasses.replace(table, ticks=(*table.ticks, (Work("F", 0), None)))
    with pytest.raises(ValueError, match="2 times"):
        verify(longer)
    with pytest.raises(ValueError, match="other than 2 stages"):
        verify(dataclasses.replace(table, ticks=((None,), *table.ticks)))


def test_orders_that_wait_for_each_other_are_refused() -> None:
    orders = [[Work("B", 0), Work("F", 0)]] * 2
    with pytest.raises(ValueError, match="no stage can go on at tick 0"):
        laid(orders, 1, 1)


def test_chunks_where_there_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="one chunk a stage, not 2"):
        table_of(Pipeline("gpipe", chunks=2), 2)
    with pytest.raises(ValueError, match="not a multiple of 2"):
        table_of(Pipeline("interleaved", microbatches=3, chunks=2), 2)


def test_pictures() -> None:
    assert picture(_made("one_f_one_b", 2, 3)) == (
        "stage 0  F0 F1 .  B0 F2 B1 .  B2",
        "stage 1  .  F0 B0 F1 B1 F2 B2 .",
    )
    assert picture(_made("interleaved", 2, 2, 2))[0].startswith("stage 0  F0a F1a F0b")
    lines = picture(_made("gpipe", 4, 64))
    assert all(".." in line and len(line) <= 76 for line in lines)
