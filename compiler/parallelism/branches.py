"""Branches: what stages do by turns, named by which of them do it and how often.

Devices of other axes may talk inside a branch, since all of a stage take it together.
A compiled program does not say how often that is; the schedule does.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from diamond.compiler.parallelism.spans import Places, Span
from diamond.compiler.scopes import taking

Function = Callable[..., Any]


class Branch(NamedTuple):
    """One kind of work in ticks that are alike.

    Attributes:
        span: The ticks.
        kind: The kind of work, as an index into `slots.KINDS`.
        end: Place of the last chunk.
    """

    span: Span
    kind: int
    end: int

    def anywhere(self, function: Function) -> Function:
        """Names what is done for every chunk."""
        return self._named(function, lambda places: places == places)

    def first(self, function: Function) -> Function:
        """Names what is done for the first chunk alone."""
        return self._named(function, lambda places: places == 0)

    def last(self, function: Function) -> Function:
        """Names what is done for the last chunk alone."""
        return self._named(function, lambda places: places == self.end)

    def before_last(self, function: Function) -> Function:
        """Names what is done for every chunk but the last one."""
        return self._named(function, lambda places: places != self.end)

    def _named(
        self, function: Function, are_meant: Callable[[Places], Places]
    ) -> Function:
        taken = self.span.taken(self.kind, are_meant)
        name = taking(taken, self.span.ticks)

        def named(*args: Any) -> Any:
            with jax.named_scope(name):
                return function(*args)

        return named
