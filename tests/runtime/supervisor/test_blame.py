from signal import SIGABRT, SIGKILL, SIGSEGV

import pytest

from diamond.runtime.supervisor.blame import Seen, find_cause, find_stuck

LOST = 75


def seen(*each):
    """Makes what is seen of ranks from pairs of exit code and silence."""
    return [
        Seen(rank, code, silent, step=10 + rank)
        for rank, (code, silent) in enumerate(each)
    ]


@pytest.mark.parametrize(
    "all_well", [[(None, 0.5), (None, 29)], [(0, 50), (None, 1)], [(0, 1), (0, 1)]]
)
def test_no_cause(all_well):
    assert find_cause(seen(*all_well), heartbeat=30) is None


@pytest.mark.parametrize(
    ("ranks", "rank", "kind", "code"),
    [
        ([(None, 1), (-SIGKILL, 1)], 1, "signal", SIGKILL),
        ([(-SIGABRT, 1), (-SIGKILL, 1)], 1, "signal", SIGKILL),
        ([(LOST, 1), (-SIGSEGV, 1)], 1, "signal", SIGSEGV),
        ([(LOST, 1), (None, 1), (70, 1)], 2, "exit", 70),
        ([(3, 1), (3, 1)], 0, "exit", 3),
        ([(-SIGABRT, 1), (None, 1)], 0, "signal", SIGABRT),
        ([(None, 31), (None, 1)], 0, "frozen", None),
        ([(None, 31), (None, 40)], 1, "frozen", None),
        ([(-SIGABRT, 1), (None, 16)], 1, "frozen", None),
        ([(LOST, 1), (None, 16)], 1, "frozen", None),
        ([(-SIGKILL, 1), (None, 16)], 0, "signal", SIGKILL),
        ([(0, 90), (None, 31)], 1, "frozen", None),
    ],
)
def test_the_one_that_did_not_follow_is_named(ranks, rank, kind, code):
    cause = find_cause(seen(*ranks), heartbeat=30)
    assert (cause.rank, cause.kind, cause.code) == (rank, kind, code)
    assert cause.step == 10 + rank


def test_a_process_has_time_to_begin():
    one = Seen(0, None, 60.0, None, has_begun=False)
    late = Seen(0, None, 200.0, None, has_begun=False)
    assert find_cause([one], heartbeat=30) is None
    assert find_cause([late], heartbeat=30).kind == "frozen"


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_is_refused_is_not_tried_again(code):
    cause = find_cause(seen((code, 1)), heartbeat=30)
    assert cause.is_final
    assert cause.is_crash == (code == 3)


def test_a_run_that_is_stuck_is_stuck_where_it_is_furthest_back():
    ranks = [Seen(0, None, 1, 12), Seen(1, None, 1, 11), Seen(2, None, 1, 12)]
    assert find_stuck(ranks, 60).rank == 1
    assert find_stuck([*ranks, Seen(3, None, 1, None)], 60).rank == 3
