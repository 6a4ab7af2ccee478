"""`crash.json`: why a run lost its processes, for people and programs."""

import json
import time
from pathlib import Path

from diamond.runtime.supervisor.blame import Cause

CRASH = "crash.json"


def write_crash(folder: Path, cause: Cause, start: int, left: int) -> None:
    """Writes the cause into the run folder, in place of an earlier one.

    Args:
        folder: The run folder; it may not be there yet.
        cause: Whom to blame, and for what.
        start: Which start of the processes it was, from 0.
        left: How often they will still be started.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> cause = Cause(1, 12, "signal", 9, "was killed by SIGKILL")
        >>> write_crash(folder, cause, 0, 3)
        >>> json.loads((folder / "crash.json").read_text())["rank"]
        1
    """
    record = {
        "rank": cause.rank,
        "step": cause.step,
        "kind": cause.kind,
        "code": cause.code,
        "cause": in_words(cause),
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "start": start,
        "restarts_left": left,
    }
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f"{CRASH}.partial"
    partial.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / CRASH)


def in_words(cause: Cause) -> str:
    """Returns whom to blame, for what, and how far it was.

    Example:
        >>> in_words(Cause(1, 1200, "signal", 9, "was killed by SIGKILL"))
        'rank 1 was killed by SIGKILL after step 1,200'
    """
    where = "" if cause.step is None else f" after step {cause.step:,}"
    return f"rank {cause.rank} {cause.text}{where}"
