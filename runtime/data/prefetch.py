"""Batches made ready by a thread while the devices compute."""

import queue
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")


class Prefetcher(Generic[T]):
    """Calls `make(step)` ahead of its reader, `depth` steps at most.

    Used as a context, which ends the thread when it is left. An exception of `make`
    is raised where its step would have been read.

    Args:
        make: Step -> what is read at that step.
        start: The first step.
        stop: The step after the last.
        depth: Steps to keep ready.

    Example:
        >>> with Prefetcher(lambda step: step * step, 0, 4) as squares:
        ...     list(squares)
        [0, 1, 4, 9]
    """

    def __init__(
        self, make: Callable[[int], T], start: int, stop: int, *, depth: int = 2
    ) -> None:
        self._make = make
        self._steps = range(start, stop)
        self._ready: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue()
        self._room = threading.Semaphore(depth)
        self._left = threading.Event()
        self._thread = threading.Thread(
            target=self._fill, name="diamond-prefetch", daemon=True
        )

    def __enter__(self) -> Iterator[T]:
        """Starts the thread and returns what it makes, step by step."""
        self._thread.start()
        return self._read()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the thread; what it has made ready is dropped."""
        self._left.set()
        self._room.release()
        self._thread.join()

    def _fill(self) -> None:
        for step in self._steps:
            self._room.acquire()
            if self._left.is_set():
                return
            try:
                self._ready.put((self._make(step), None))
            except BaseException as error:  # handed to the reader
                self._ready.put((None, error))
                return

    def _read(self) -> Iterator[T]:
        for _ in self._steps:
            item, error = self._ready.get()
            if error is not None:
                raise error
            self._room.release()
            yield item  # type: ignore[misc]
