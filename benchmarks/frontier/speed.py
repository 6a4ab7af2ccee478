"""Step time of one process: Diamond's compiled step against PyTorch's two.

    python -m benchmarks.frontier.speed --cores 1

PyTorch runs eagerly, or as `torch.compile` compiles it. The model of the contest, on
one host: batches of 4 and of 16 sequences. Each contender is a process of its own, held
to the same cores; they take turns, so that none runs beside another and all see the
machine's drift alike. Ratios are Diamond's time over PyTorch's, pair by pair.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import argparse
import contextlib
import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.interleave import Ratio, interleave

CONTENDERS = ("diamond", "eager", "compiled")
BATCHES = (4, 16)
STEPS = 2
PAIRS = 11


def main() -> None:
    """Prints a line a batch and way."""
    arguments = _arguments()
    if arguments.contender:
        serve(arguments.contender, arguments.batch)
        return
    cores = sorted(os.sched_getaffinity(0))[: arguments.cores]
    os.sched_setaffinity(0, cores)  # which what is started here inherits
    for batch in BATCHES:
        for other in CONTENDERS[1:]:
            ratio = measure(batch, other, arguments.pairs)
            print(
                f"{len(cores)} cores, batch {batch:2} x 128, {other:8} "
                f"{ratio.median:.3f} ({ratio.low:.3f} to {ratio.high:.3f}), "
                f"{ratio.ours / STEPS * 1e3:.0f} ms against "
                f"{ratio.theirs / STEPS * 1e3:.0f} ms a step",
                flush=True,
            )


def measure(batch: int, other: str, pairs: int = PAIRS) -> Ratio:
    """Times Diamond against one of the others.

    Args:
        batch: Sequences a step.
        other: `eager` or `compiled`.
        pairs: Pairs of runs.
    """
    with turns("diamond", batch) as ours, turns(other, batch) as theirs:
        return interleave(ours, theirs, pairs=pairs)


@contextlib.contextmanager
def turns(contender: str, batch: int) -> Iterator[Callable[[], None]]:
    """Starts a contender, and gives a function that has it take `STEPS` steps."""
    words = ["--contender", contender, "--batch", str(batch)]
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.frontier.speed", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    assert process.stdin and process.stdout
    requests, answers = process.stdin, process.stdout

    def turn() -> None:
        requests.write("go\n")
        if answers.readline() != "done\n":
            raise RuntimeError(f"the contender `{contender}` has died")

    with process:
        try:
            yield turn
        finally:
            process.kill()


def serve(contender: str, batch: int) -> None:
    """Takes steps whenever a line comes in."""
    run = (_diamond if contender == "diamond" else _torch)(contender, batch)
    for _ in sys.stdin:
        run()
        print("done", flush=True)


def _diamond(_contender: str, batch: int) -> Callable[[], None]:
    import jax

    import diamond
    from benchmarks.frontier.contest import open_contest

    contest = open_contest("ddp", ["mesh.host=1", f"data.batch={batch}"])
    program = diamond.compile(contest.scheme, devices=jax.devices()[:1])
    state = program.init(jax.random.key(0))

    def run() -> None:
        nonlocal state
        for _ in range(STEPS):
            batch_now = contest.data.batch_at(int(state.step))
            state, _ = program.step(state, batch_now)
        jax.block_until_ready(state.params)

    return run


def _torch(contender: str, batch: int) -> Callable[[], None]:
    import torch

    from benchmarks.frontier.contest import open_contest
    from benchmarks.frontier.torch_model import loaded
    from benchmarks.frontier.torch_training import optimizer_of, train

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    contest = open_contest("ddp", ["mesh.host=1", f"data.batch={batch}"])
    model = loaded(contest.model, contest.initial())
    settings = contest.adamw()
    optimizer = optimizer_of(model, settings)
    called = torch.compile(model) if contender == "compiled" else model
    steps = enumerate(settings.rates)

    def run() -> None:
        for step, rate in itertools.islice(steps, STEPS):
            float(train(called, optimizer, rate, contest.data.batch_at(step)))

    return run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.frontier.speed")
    parser.add_argument("--cores", type=int, default=1, help="cores to hold them to")
    parser.add_argument("--pairs", type=int, default=PAIRS, help="pairs of runs")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("--batch", type=int, default=BATCHES[0], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
