"""Trains a scheme's model with PyTorch's DistributedDataParallel over gloo.

    python -m benchmarks.network --hosts 4 --rate 10mbit -- COMMAND

with the COMMAND `python -m benchmarks.frontier.torch_ddp --hook powersgd --steps 2000`.

Runs where PyTorch's launcher would run it: RANK, WORLD_SIZE, MASTER_ADDR and
MASTER_PORT are in the environment. Rank 0 prints a JSON object a step: the steps done,
the seconds since training began, the bytes that its link has sent since then (null on
a machine that is no host of a network), and the loss of its part of the batch. Where
the held-out loss is due, it has a line of its own; an evaluation takes no time of the
training's, and its bytes are not counted.

Hooks have PyTorch's default settings, but for two of PowerSGD's: `start_powerSGD_iter`
is 10, and not 1000, for runs of a few thousand steps; and all gradients are in one
bucket. Of two, each rank starts the later collectives of one when its earlier ones are
done, so that ranks start them in different orders, and gloo (unlike NCCL) takes them in
that order: it fails with a mismatch of sizes (torch 2.13).
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")  # only draws the initial weights
os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import contextlib
import json
import subprocess
import time
from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist
from torch.distributed.algorithms.ddp_comm_hooks import default_hooks
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as powersgd
from torch.nn.parallel import DistributedDataParallel

from benchmarks.frontier.contest import Contest, open_contest
from benchmarks.frontier.torch_model import loaded
from benchmarks.frontier.torch_training import Batch, optimizer_of, tensors, train
from benchmarks.network.counters import sent

HOOKS = ("none", "fp16", "powersgd")
RANK = 2
DENSE_STEPS = 10
ONE_BUCKET = 64  # MiB
EVALUATED_AT_ONCE = 32


def main() -> None:
    """Trains, and prints a line a step at rank 0."""
    arguments = _arguments()
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    try:
        for line in lines(_contest(arguments), arguments):
            if dist.get_rank() == 0:
                print(json.dumps(line), flush=True)
    finally:
        dist.destroy_process_group()


def _contest(arguments: argparse.Namespace) -> Contest:
    pairs = {"train.steps": arguments.steps, "train.optimizer.lr.peak": arguments.lr}
    given = [f"{path}={value}" for path, value in pairs.items() if value is not None]
    return open_contest("ddp", [*given, *arguments.set])


def lines(
    contest: Contest, arguments: argparse.Namespace
) -> Iterator[dict[str, float | None]]:
    """Trains and yields what is printed."""
    model = wrapped(loaded(contest.model, contest.initial()), arguments.hook)
    settings = contest.adamw()
    optimizer = optimizer_of(model, settings)
    rates = settings.rates[: arguments.stop]
    dist.barrier()
    meter = Meter()
    for step, rate in enumerate(rates):
        batch = part(contest.data.batch_at(step))
        loss = float(train(model, optimizer, rate, batch))
        done = step + 1
        yield {"step": done, **meter.read(), "loss": loss}
        if done == len(rates) or done % arguments.evaluate_every == 0:
            with meter.paused():
                held_out = evaluated(model.module, contest.data.held_out())
            yield {"step": done, "held_out": held_out}


def wrapped(model: torch.nn.Module, hook: str) -> DistributedDataParallel:
    """Returns the model with its gradients averaged, in the form that the hook says."""
    bucket = ONE_BUCKET if hook == "powersgd" else None
    copies = DistributedDataParallel(model, bucket_cap_mb=bucket)
    if hook == "fp16":
        copies.register_comm_hook(None, default_hooks.fp16_compress_hook)
    if hook == "powersgd":
        state = powersgd.PowerSGDState(
            None, matrix_approximation_rank=RANK, start_powerSGD_iter=DENSE_STEPS
        )
        copies.register_comm_hook(state, powersgd.powerSGD_hook)
    return copies


class Meter:
    """Seconds that passed, and bytes that were sent, but for the pauses."""

    def __init__(self) -> None:
        self._start, self._before = time.perf_counter(), _sent()

    def read(self) -> dict[str, float | None]:
        """Returns both by name."""
        seconds, now = time.perf_counter() - self._start, _sent()
        since = None if now is None else now - self._before
        return {"seconds": round(seconds, 4), "sent": since}

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Pauses on all ranks, which go on together."""
        start, before = time.perf_counter(), _sent()
        yield
        dist.barrier()
        self._start += time.perf_counter() - start
        if before is not None:
            self._before += _sent() - before


def _sent() -> int | None:
    try:
        return sent()
    except (OSError, subprocess.CalledProcessError):
        return None


def part(batch: Batch) -> Batch:
    """Returns this rank's part of a batch, or of what is held out."""
    rank, count = dist.get_rank(), dist.get_world_size()
    return {name: np.array_split(value, count)[rank] for name, value in batch.items()}


@torch.no_grad()
def evaluated(model: torch.nn.Module, data: Batch) -> float:
    """Returns the mean loss of data that all ranks share out among them."""
    x, y = tensors(part(data))
    total = torch.zeros(2, dtype=torch.float64)
    for chunk in zip(
        x.split(EVALUATED_AT_ONCE), y.split(EVALUATED_AT_ONCE), strict=True
    ):
        count = len(chunk[0])
        total += torch.tensor([float(model(*chunk)) * count, count])
    dist.all_reduce(total)
    return float(total[0] / total[1])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.frontier.torch_ddp")
    parser.add_argument("--hook", choices=HOOKS, default="none")
    parser.add_argument("--steps", type=int, help="over which the rate decays")
    parser.add_argument("--lr", type=float, help="the rate's peak")
    parser.add_argument("--stop", type=int, help="ends the run after so many steps")
    parser.add_argument("--evaluate-every", type=int, default=100, metavar="STEPS")
    parser.add_argument(
        "--set", action="append", default=[], help="into the scheme, as for diamondc"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
