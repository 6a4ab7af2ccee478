"""Processes that are steps apart stop after the same step, whoever is asked."""

import random
import time

import pytest

from diamond.runtime.processes.accord import Together, Unasked
from tests.runtime.processes.stores import Texts, in_threads

NUMBER, STEPS, MEET = 3, 400, 8


def run(store, rank, asked_at, seed):
    """Takes steps, the MEETth of which waits for all; returns where it stopped."""
    draw = random.Random(f"{seed} {rank}")
    with Together(store, "accord", rank, NUMBER) as accord:
        accord.begin(0)
        for done in range(1, STEPS + 1):
            time.sleep(draw.uniform(0, 0.004))
            if done % MEET == 0:
                store.put(f"{rank} at {done}", "")
                for other in range(NUMBER):
                    store.wait_for(f"{other} at {done}")
            signal = 15 if done >= asked_at else None
            if accord.after(done, signal) is not None:
                return done
        return None


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("asked", [{0}, {2}, {0, 1, 2}], ids=str)
def test_all_stop_after_one_step(asked, seed):
    store, draw = Texts(), random.Random(seed)
    when = [draw.randint(1, 30) if rank in asked else 10**9 for rank in range(NUMBER)]
    stops = in_threads(NUMBER, lambda rank: run(store, rank, when[rank], seed))
    assert len(set(stops)) == 1, stops
    assert stops[0] >= min(when)


def test_nobody_is_asked():
    store = Texts()
    stops = in_threads(NUMBER, lambda rank: run(store, rank, 10**9, 0))
    assert stops == [None] * NUMBER


def test_one_process_stops_where_it_is_asked():
    with Unasked() as accord:
        accord.begin(0)
        assert accord.after(1, None) is None
        assert accord.after(2, 15) == 15
