"""Which process is to blame, by what is seen of all of them.

When one is lost, the others follow: their collectives fail, or JAX aborts them when
its heartbeats stop. So the one to name is the one that did not follow.
"""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

from diamond.runtime.failures import PeersLost

# What a process ends with that was refused: its scheme, its call.
REFUSED = (1, 2)
# What a process ends with that failed by its numbers or its data.
FAILED = (3,)
# What a process ends with that has saved and stopped, since it was asked to.
STOPPED = (130, 143)
# Seconds in which a process must be so far that it has a pulse.
BEGINNING = 120.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a process.

    Attributes:
        rank: Its number.
        code: What it ended with, negative for a signal; None while it runs.
        silent: Seconds since its last pulse.
        step: The last step that it told, or None.
        has_begun: Whether it ever had a pulse.
    """

    rank: int
    code: int | None
    silent: float
    step: int | None
    has_begun: bool = True


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a run has to end.

    Attributes:
        rank: The process to blame.
        step: The last step that it told, or None.
        kind: `exit`, `signal`, `frozen` or `stuck`.
        code: The exit code or the signal's number; None where it still ran.
        text: The cause in words, such as `was killed by SIGKILL`.
    """

    rank: int
    step: int | None
    kind: str
    code: int | None
    text: str

    @property
    def is_final(self) -> bool:
        """Whether another start would end the same way."""
        return self.kind == "exit" and self.code in REFUSED + FAILED + STOPPED

    @property
    def is_crash(self) -> bool:
        """Whether something ran, and failed."""
        return not (self.kind == "exit" and self.code in REFUSED + STOPPED)


def find_cause(seen: Sequence[Seen], heartbeat: float) -> Cause | None:
    """Returns why the run has to end, or None while all is well.

    Args:
        seen: What is seen of each process.
        heartbeat: Seconds of silence after which one counts as frozen.

    Example:
        >>> well = Seen(0, None, 0.3, 12)
        >>> find_cause([well, Seen(1, -9, 0.7, 11)], 30).text
        'was killed by SIGKILL'
    """
    ended = [each for each in seen if each.code]
    running = [each for each in seen if each.code is None]
    limit = heartbeat / 2 if ended else heartbeat
    frozen = [each for each in running if each.silent > _allowed(each, limit)]
    if ended and not (frozen and all(map(_follows, ended))):
        return _ended(min(ended, key=_turn))
    if frozen:
        return _frozen(max(frozen, key=lambda each: each.silent))
    return None


def find_stuck(seen: Sequence[Seen], seconds: float) -> Cause:
    """Returns the blame for a run whose steps have not moved: the one furthest back."""
    last = min(seen, key=lambda each: -1 if each.step is None else each.step)
    text = f"took no step for {seconds:.0f} s"
    return Cause(last.rank, last.step, "stuck", None, text)


def _allowed(each: Seen, limit: float) -> float:
    return limit if each.has_begun else max(limit, BEGINNING)


def _follows(each: Seen) -> bool:
    """Whether a process may have ended because another one did."""
    return each.code in (-signal.SIGABRT, PeersLost.exit_code)


def _turn(each: Seen) -> tuple[bool, bool, bool, int]:
    """Puts first what neither followed nor stopped, and signals before exits."""
    assert each.code is not None
    return _follows(each), each.code in STOPPED, each.code > 0, each.rank


def _ended(each: Seen) -> Cause:
    assert each.code is not None
    if each.code < 0:
        number = -each.code
        text = f"was killed by {signal.Signals(number).name}"
        return Cause(each.rank, each.step, "signal", number, text)
    text = f"ended with exit code {each.code}"
    return Cause(each.rank, each.step, "exit", each.code, text)


def _frozen(each: Seen) -> Cause:
    text = f"was silent for {each.silent:.0f} s"
    return Cause(each.rank, each.step, "frozen", None, text)
