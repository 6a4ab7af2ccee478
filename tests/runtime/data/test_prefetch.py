"""The prefetcher: order, bounds, errors, and a thread that ends."""

import threading
import time

import pytest

from diamond.runtime.data import Prefetcher


def wait_for(condition: threading.Event) -> None:
    assert condition.wait(timeout=10)


def test_steps_come_in_order() -> None:
    with Prefetcher(str, 3, 50, depth=3) as steps:
        assert list(steps) == [str(step) for step in range(3, 50)]


def test_nothing_to_read() -> None:
    with Prefetcher(str, 3, 3) as steps:
        assert list(steps) == []


def test_no_more_than_depth_is_made_ahead() -> None:
    made: list[int] = []
    ready = threading.Event()

    def make(step: int) -> int:
        made.append(step)
        if len(made) == 2:
            ready.set()
        return step

    with Prefetcher(make, 0, 100, depth=2) as steps:
        wait_for(ready)
        time.sleep(0.02)
        assert made == [0, 1]
        assert next(steps) == 0
    assert len(made) <= 3


def test_an_error_comes_at_its_step() -> None:
    def make(step: int) -> int:
        return 10 // (3 - step)

    with Prefetcher(make, 0, 9) as steps:
        assert [next(steps) for _ in range(3)] == [3, 5, 10]
        with pytest.raises(ZeroDivisionError):
            next(steps)


def test_the_thread_ends_when_the_reader_leaves() -> None:
    before = set(threading.enumerate())
    with pytest.raises(KeyError), Prefetcher(str, 0, 10**9) as steps:
        next(steps)
        raise KeyError
    assert set(threading.enumerate()) == before


def test_the_thread_ends_when_all_is_read() -> None:
    before = set(threading.enumerate())
    with Prefetcher(str, 0, 5) as steps:
        list(steps)
    assert set(threading.enumerate()) == before
