"""Watches processes until all have ended well, or one is to blame."""

import time
from collections.abc import Sequence

from diamond.runtime.supervisor.blame import (
    STOPPED,
    Cause,
    Seen,
    find_cause,
    find_stuck,
)
from diamond.runtime.supervisor.ranks import Rank
from diamond.runtime.supervisor.signals import Signals

POLL = 0.2


def watch(
    ranks: Sequence[Rank],
    signals: Signals,
    heartbeat: float,
    patience: float | None = None,
) -> Cause | None:
    """Returns why the run has to end, or None once all have ended well.

    A signal is passed on to all. Once the first has ended for one, the others have the
    time of a heartbeat.
    """
    steps: list[int | None] = []
    moved = time.monotonic()
    while True:
        seen = [rank.look() for rank in ranks]
        if all(each.code == 0 for each in seen):
            return None
        # One may have been asked by itself: then all stop.
        is_asked = any(each.code in STOPPED for each in seen)
        if is_asked or signals.number is not None:
            _stop(ranks, signals, heartbeat)
            return _after_stop([rank.look() for rank in ranks], heartbeat)
        if find_cause(seen, heartbeat):
            time.sleep(POLL)  # what one follows may not have been seen yet
            cause = find_cause([rank.look() for rank in ranks], heartbeat)
            if cause:
                return cause
        now = [each.step for each in seen]
        if now != steps:
            steps, moved = now, time.monotonic()
        if patience is not None and time.monotonic() - moved > patience:
            return find_stuck(seen, patience)
        time.sleep(POLL)


def _after_stop(seen: Sequence[Seen], heartbeat: float) -> Cause | None:
    if all(each.code == 0 for each in seen):
        return None
    return find_cause(seen, heartbeat) or find_stuck(seen, heartbeat)


def _stop(ranks: Sequence[Rank], signals: Signals, heartbeat: float) -> None:
    """Passes a signal on, and waits until all have ended."""
    sent, limit = 0, None
    while any(rank.process.poll() is None for rank in ranks):
        for _ in range(signals.count - sent):
            for rank in ranks:
                rank.send(signals.number or 0)
        sent = signals.count
        if limit is None and any(rank.process.poll() is not None for rank in ranks):
            limit = time.monotonic() + heartbeat
        if limit is not None and time.monotonic() > limit:
            return
        time.sleep(POLL)
