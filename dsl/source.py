"""Source text with places in it."""

import bisect
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A half-open range of code points in one source: `start <= place < stop`."""

    start: int
    stop: int

    def to(self, other: "Span") -> "Span":
        """Returns the span from the start of this one to the end of another."""
        return Span(self.start, other.stop)


@dataclass(frozen=True, slots=True)
class Source:
    r"""A file's text, or text that came from elsewhere, with a name to show.

    Example:
        >>> Source("a.diamond", "mesh {\n}").place(7)
        (2, 1)
    """

    name: str
    text: str
    _starts: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        starts = [0] + [i + 1 for i, c in enumerate(self.text) if c == "\n"]
        object.__setattr__(self, "_starts", tuple(starts))

    def place(self, offset: int) -> tuple[int, int]:
        """Returns the line and the column of an offset, both counted from 1."""
        line = bisect.bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line(self, number: int) -> str:
        """Returns the text of a line, counted from 1, without its line break."""
        is_last = number == len(self._starts)
        stop = len(self.text) if is_last else self._starts[number] - 1
        return self.text[self._starts[number - 1] : stop].removesuffix("\r")
