"""After which step do all processes stop, when a signal reaches some of them?

Between two exchanges processes may be many steps apart, so that each must not stop
where it stands. A process that is asked to stop asks all. Each then announces the last
step that it has begun, and begins no other before it knows what all have announced;
all stop after the latest of these steps. A thread announces, since the step that was
begun may be waiting for the others.
"""

import contextlib
import threading
from types import TracebackType
from typing import Protocol

POLL = 0.25


class Store(Protocol):
    """Texts by name, seen by all processes."""

    def put(self, name: str, text: str) -> None:
        """Writes a text, which may be there already."""

    def get(self, name: str) -> str | None:
        """Returns a text, or None where it is not there yet."""

    def wait_for(self, name: str) -> str:
        """Returns a text as soon as it is there."""


class Accord(Protocol):
    """Decides after which step all stop."""

    def begin(self, first: int) -> None:
        """Says that `first` steps are done and the next one begins."""

    def after(self, done: int, asked: int | None) -> int | None:
        """Returns the signal to stop for after `done` steps; else the next one begins.

        Args:
            done: Steps done.
            asked: The signal that this process was sent, or None.
        """


class Unasked:
    """One process stops when it is asked to."""

    def __enter__(self) -> Accord:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Does nothing."""

    def begin(self, first: int) -> None:
        """See `Accord`."""

    def after(self, done: int, asked: int | None) -> int | None:
        """See `Accord`."""
        return asked


class Together:
    """Several processes stop after the same step.

    Args:
        store: What they agree through.
        name: The name of this accord, the same in all processes and used once.
        rank: The number of this process.
        number: How many there are.
    """

    def __init__(self, store: Store, name: str, rank: int, number: int) -> None:
        self._store = store
        self._name = name
        self._rank = rank
        self._number = number
        self._begun: int | None = None
        self._announced = False
        self._last: int | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Accord:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def begin(self, first: int) -> None:
        """See `Accord`."""
        with self._lock:
            self._begun = first + 1

    def after(self, done: int, asked: int | None) -> int | None:
        """See `Accord`."""
        with self._lock:
            if asked is not None and not self._announced:
                self._store.put(f"{self._name}/signal", str(asked))
                self._announce(done)
            if not self._announced:
                self._begun = done + 1
                return None
        if self._last is None:
            self._last = max(self._announcement(rank) for rank in range(self._number))
        if done < self._last:
            return None
        return int(self._store.wait_for(f"{self._name}/signal"))

    def _announcement(self, rank: int) -> int:
        return int(self._store.wait_for(f"{self._name}/begun/{rank}"))

    def _announce(self, step: int) -> None:
        self._announced = True
        self._store.put(f"{self._name}/begun/{self._rank}", str(step))

    def _listen(self) -> None:
        """Announces once some process was asked to stop."""
        with contextlib.suppress(RuntimeError):  # the coordinator is gone
            while not self._over.wait(POLL):
                if self._store.get(f"{self._name}/signal") is None:
                    continue
                with self._lock:
                    if not self._announced and self._begun is not None:
                        self._announce(self._begun)
                if self._announced:
                    return
