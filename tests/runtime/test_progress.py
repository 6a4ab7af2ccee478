import io
import time

import pytest

from diamond.runtime import progress
from diamond.runtime.bar import Bar
from diamond.runtime.progress import Lines, Pace, clock, progress_on


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_a_file_gets_lines():
    assert isinstance(progress_on(Terminal()), Bar)
    assert isinstance(progress_on(io.StringIO()), Lines)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


@pytest.fixture
def hands(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


def test_lines_come_every_so_often_and_at_the_end(hands):
    stream = io.StringIO()
    lines = Lines(stream, every=5)
    lines.start(0, 30)
    for step in range(1, 31):
        hands.now += 0.5
        lines.advance(step)
        if step % 4 == 0 or step == 30:
            lines.measure(1 / step, 5000.0)
    assert stream.getvalue().splitlines() == [
        "step 10/30  loss 0.125  5,000 examples/s  10 s left",
        "step 20/30  loss 0.0625  5,000 examples/s  5 s left",
        "step 30/30  loss 0.03333  5,000 examples/s  0 s left",
    ]


def test_a_bar_shows_step_loss_throughput_and_time_left():
    stream = Terminal()
    bar = Bar(stream)
    bar.start(0, 1000)
    bar.advance(100)
    bar.measure(0.25, 12345.6)
    bar.stop()
    shown = stream.getvalue()
    assert "step 100/1,000  loss 0.25  12,346 examples/s" in shown
    assert "left" in shown


def test_compiling_is_told_from_a_hang():
    stream = Terminal()
    bar = Bar(stream)
    with bar.busy("compiling"):
        time.sleep(1.2)
    bar.stop()
    assert "compiling" in stream.getvalue()
    assert "1 s" in stream.getvalue()


def test_lines_say_what_takes_time(hands):
    stream = io.StringIO()
    lines = Lines(stream)
    with lines.busy("compiling"):
        assert stream.getvalue() == "compiling ...\n"
    with lines.busy("compiling"):
        hands.now += 2.5
    assert stream.getvalue() == ("compiling ...\ncompiling ...\ncompiling took 2.5 s\n")


def test_time_left_is_extrapolated_without_what_is_left_out(hands):
    pace = Pace(done=10, total=110)
    assert pace.line() == "step 10/110  ? left"
    hands.now += 30
    pace.step = 30
    pace.leave_out(20)
    assert pace.line() == "step 30/110  40 s left"


def test_clock():
    assert [clock(each) for each in (0.4, 59, 60, 3600)] == [
        "0 s",
        "59 s",
        "1:00",
        "1:00:00",
    ]
