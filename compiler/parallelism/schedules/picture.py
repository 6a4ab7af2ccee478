"""Picture: a table as text, a line a stage and a column a tick."""

from diamond.compiler.parallelism.schedules.table import Table, Work

WIDTH = 76
_LETTERS = "abcdefghijklmnopqrstuvwxyz"


def picture(table: Table, width: int = WIDTH) -> tuple[str, ...]:
    r"""Draws a table; of a long one the first and the last ticks.

    Example:
        >>> from diamond.compiler.parallelism.schedules.gpipe import gpipe
        >>> print("\n".join(picture(gpipe(2, 2))))
        stage 0  F0 F1 .  .  B1 B0
        stage 1  .  F0 F1 B1 B0 .
    """
    cells = [
        [_cell(column[stage], table.chunks) for column in table.ticks]
        for stage in range(table.stages)
    ]
    size = max(len(cell) for row in cells for cell in row)
    heads = [f"stage {stage}  " for stage in range(table.stages)]
    room = max(2, (width - max(map(len, heads))) // (size + 1))
    shown = [_shortened(row, room) for row in cells]
    return tuple(
        (
            head.ljust(max(map(len, heads))) + " ".join(c.ljust(size) for c in row)
        ).rstrip()
        for head, row in zip(heads, shown, strict=True)
    )


def _cell(work: Work | None, chunks: int) -> str:
    if work is None:
        return "."
    letter = ""
    if chunks > 1:
        letter = _LETTERS[work.chunk] if chunks <= len(_LETTERS) else f"/{work.chunk}"
    return f"{work.kind}{work.microbatch}{letter}"


def _shortened(row: list[str], room: int) -> list[str]:
    if len(row) <= room:
        return row
    before = (room - 1) // 2
    return [*row[:before], "..", *row[len(row) - (room - 1 - before) :]]
