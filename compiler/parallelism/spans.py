"""Spans: a table of rows cut into loops of ticks that are alike."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diamond.compiler.parallelism.schedules.slots import NOWHERE, Row, Rows

Places = NDArray[Any]


class Span(NamedTuple):
    """Ticks that are alike: one loop.

    Attributes:
        rows: `int32[ticks, stages]` for each field of a row; `kind` counts `kinds`.
        kinds: What some stage does in them, as indices into `slots.KINDS`.
        forward: Whether something is sent on in them.
        backward: Whether something is sent back.
    """

    rows: Row
    kinds: tuple[int, ...]
    forward: bool
    backward: bool

    @property
    def ticks(self) -> int:
        """Number of ticks."""
        return len(np.asarray(self.rows.kind))

    def taken(self, kind: int, at: Callable[[Places], Places]) -> list[int]:
        """Counts for each stage the ticks of one kind of work, at some places.

        Args:
            kind: The kind, as an index into `slots.KINDS`; one of `kinds`.
            at: The chunks' places, `int32[ticks, stages]` -> which are meant.
        """
        kinds, places = np.asarray(self.rows.kind), np.asarray(self.rows.place)
        is_meant = (kinds == self.kinds.index(kind)) & at(places)
        return [int(num) for num in is_meant.sum(axis=0)]


def spans_of(rows: Rows) -> list[Span]:
    """Cuts the ticks where the first gradient and where the last activation is sent.

    Before and after, half of the messages, and half of the code, would be in vain.
    """
    array = np.array(rows.rows, np.int32)
    lands = {
        name: array[..., Row._fields.index(name)].max(axis=1) != NOWHERE
        for name in ("input_lands", "gradient_lands")
    }
    forward, backward = lands["input_lands"], lands["gradient_lands"]
    after = len(array) - int(np.argmax(forward[::-1]))
    before = int(np.argmax(backward))
    cuts = sorted({0, before, max(before, after), len(array)})
    return [
        _span(array[a:b], bool(forward[a:b].any()), bool(backward[a:b].any()))
        for a, b in itertools.pairwise(cuts)
    ]


def _span(array: np.ndarray, forward: bool, backward: bool) -> Span:
    fields = {name: array[..., place] for place, name in enumerate(Row._fields)}
    kinds, fields["kind"] = np.unique(fields["kind"], return_inverse=True)
    shaped = {name: field.reshape(array.shape[:2]) for name, field in fields.items()}
    row = Row(**{name: field.astype(np.int32) for name, field in shaped.items()})  # type: ignore[arg-type]
    return Span(row, tuple(map(int, kinds)), forward, backward)
