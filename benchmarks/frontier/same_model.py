"""Holds that PyTorch's side trains what Diamond's does: the losses of some steps.

    python -m benchmarks.frontier.same_model

From the same weights and batches, in fp64, where two correct programs agree to many
digits also after steps of AdamW, and the first loss in fp32, in which the contest is.
"""

import os

os.environ.setdefault("JAX_PLATFORMS", "cpu")

from collections.abc import Sequence
from typing import NamedTuple

import jax
import torch

import diamond
from benchmarks.frontier.contest import Contest, open_contest
from benchmarks.frontier.torch_model import loaded
from benchmarks.frontier.torch_training import optimizer_of, train

STEPS = 5
ALONE = ("mesh.host=1", "data.batch=4", "train.optimizer.lr.warmup=2")
TYPES = {"fp32": torch.float32, "fp64": torch.float64}


class Losses(NamedTuple):
    """The losses of the first steps on the two sides."""

    diamond: tuple[float, ...]
    torch: tuple[float, ...]

    @property
    def apart(self) -> tuple[float, ...]:
        """How far apart they are, relatively, step by step."""
        pairs = zip(self.diamond, self.torch, strict=True)
        return tuple(abs(a - b) / abs(b) for a, b in pairs)


def compare(precision: str, overrides: Sequence[str] = ()) -> Losses:
    """Trains on both sides from the same weights on the same batches.

    Args:
        precision: `fp32` or `fp64`, which needs `jax.enable_x64`.
        overrides: As after `--set`.
    """
    words = (*ALONE, f"train.precision={precision}", *overrides)
    contest = open_contest("ddp", words)
    return Losses(_by_diamond(contest), _by_torch(contest, TYPES[precision]))


def _by_diamond(contest: Contest) -> tuple[float, ...]:
    program = diamond.compile(contest.scheme, devices=jax.devices()[:1])
    state = program.init(jax.random.key(contest.scheme.train.seed))
    losses = []
    for step in range(STEPS):
        state, metrics = program.step(state, contest.data.batch_at(step))
        losses.append(float(metrics["loss"].mean()))
    return tuple(losses)


def _by_torch(contest: Contest, dtype: torch.dtype) -> tuple[float, ...]:
    model = loaded(contest.model, contest.initial(), dtype)
    settings = contest.adamw()
    optimizer = optimizer_of(model, settings)
    return tuple(
        float(train(model, optimizer, rate, contest.data.batch_at(step)))
        for step, rate in enumerate(settings.rates[:STEPS])
    )


def main() -> None:
    """Prints the losses and how far apart they are."""
    for precision in TYPES:
        print(f"{precision}: step, loss of Diamond, of PyTorch, relative difference")
        with jax.enable_x64(precision == "fp64"):
            losses = compare(precision)
        rows = zip(losses.diamond, losses.torch, losses.apart, strict=True)
        for step, (ours, theirs, apart) in enumerate(rows):
            print(f"  {step} {ours:.10f} {theirs:.10f} {apart:.1e}")


if __name__ == "__main__":
    main()
