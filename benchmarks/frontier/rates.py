"""Step time and bytes of PyTorch's hooks at several rates of the links.

    python -m benchmarks.frontier.rates

Four hosts. A hook is one run, whose links are made slower as it goes on: the step in
which they change is not counted, nor are the first ones, which are dense for PowerSGD.
"""

import itertools
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from typing import IO, NamedTuple

from benchmarks import network

HOSTS = 4
HOOKS = ("powersgd", "fp16", "none")
WARM_UP = 12
# Rates, and how many steps are timed at each.
RATES = ((None, 7), ("100mbit", 7), ("10mbit", 3), ("2mbit", 2))


class Row(NamedTuple):
    """What a step took.

    Attributes:
        hook: The hook.
        rate: The rate of each link; None without one.
        seconds: Median seconds a step.
        sent: Median bytes that host 0 sent a step.
    """

    hook: str
    rate: str | None
    seconds: float
    sent: float


def measure(hook: str) -> Iterator[Row]:
    """Trains with a hook and yields a row a rate."""
    last = WARM_UP + sum(count + 1 for _, count in RATES)
    words = ["-m", "benchmarks.frontier.torch_ddp", "--hook", hook, "--stop", str(last)]
    words += ["--set", "data.held_out=0"]
    with network.opened(HOSTS) as net:
        command = [sys.executable, *words]
        with network.started(net, command, stdout=subprocess.PIPE) as jobs:
            output = jobs[0].stdout
            assert output is not None
            _next(output, WARM_UP)
            for rate, count in RATES:
                net.shape(rate)
                seconds, sent = _differences(_next(output, count + 1))
                yield Row(hook, rate, seconds, sent)


def _next(output: IO[bytes], count: int) -> list[dict[str, float]]:
    return [json.loads(output.readline()) for _ in range(count)]


def _differences(lines: list[dict[str, float]]) -> tuple[float, float]:
    """Returns the median seconds and bytes from line to line."""
    pairs = list(itertools.pairwise(lines))
    seconds, sent = (
        statistics.median(after[name] - before[name] for before, after in pairs)
        for name in ("seconds", "sent")
    )
    return seconds, sent


def main() -> None:
    """Prints a line a hook and rate; the hooks may be named."""
    for hook in sys.argv[1:] or HOOKS:
        for row in measure(hook):
            print(
                f"{row.hook:9} {row.rate or 'no limit':9} {row.seconds:8.2f} s a step, "
                f"{row.sent:12,.0f} B a step and host",
                flush=True,
            )


if __name__ == "__main__":
    main()
