"""What processes that train as one must agree on beside their arrays.

They talk through the key-value store of JAX's coordinator, which is in process 0:
short texts at the start, at a checkpoint and at the end, and none at a step.
"""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from diamond.runtime import failures
from diamond.runtime.processes.accord import Accord, Store, Together, Unasked

T = TypeVar("T")


class Peers(Protocol):
    """The processes that train together; each calls the same methods in one order."""

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""

    @property
    def number(self) -> int:
        """How many there are."""

    def gather(self, value: Any) -> list[Any]:
        """Returns the JSON values of all processes, by rank, once all have one."""

    def led(self, what: Callable[[], T]) -> T:
        """Calls something in process 0 alone; all get its JSON, or its failure."""

    def accord(self) -> AbstractContextManager[Accord]:
        """Returns what decides after which step all stop."""


class Alone:
    """One process, which agrees with itself.

    Example:
        >>> Alone().led(lambda: 3)
        3
    """

    rank = 0
    number = 1

    def gather(self, value: Any) -> list[Any]:
        """See `Peers`."""
        return [value]

    def led(self, what: Callable[[], T]) -> T:
        """See `Peers`."""
        return what()

    def accord(self) -> AbstractContextManager[Accord]:
        """See `Peers`."""
        return Unasked()


ALONE = Alone()


class Joined:
    """One process among several.

    Attributes:
        rank: The number of this process.
        number: How many there are.
    """

    def __init__(self, store: Store, rank: int, number: int) -> None:
        self.rank = rank
        self.number = number
        self._store = store
        self._calls = 0

    def gather(self, value: Any) -> list[Any]:
        """See `Peers`."""
        name = self._next_name()
        self._store.put(f"{name}/{self.rank}", json.dumps(value))
        ranks = range(self.number)
        return [json.loads(self._store.wait_for(f"{name}/{rank}")) for rank in ranks]

    def led(self, what: Callable[[], T]) -> T:
        """See `Peers`."""
        if self.rank:
            answer = self.gather(None)[0]
            if "failure" in answer:
                raise _failure(answer["failure"], answer["message"])
            return answer["value"]  # type: ignore[no-any-return]
        try:
            value = what()
        except Exception as error:
            told = {"failure": type(error).__name__, "message": str(error)}
            self.gather(told)
            raise
        self.gather({"value": value})
        return value

    def accord(self) -> AbstractContextManager[Accord]:
        """See `Peers`."""
        return Together(self._store, self._next_name(), self.rank, self.number)

    def _next_name(self) -> str:
        self._calls += 1
        return f"diamond/{self._calls}"


def _failure(name: str, message: str) -> failures.Failure:
    kind = getattr(failures, name, failures.RunFailed)
    return kind(message)
