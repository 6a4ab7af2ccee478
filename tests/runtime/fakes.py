"""An engine and data so small that a run takes no time, with exact results."""

import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from diamond.runtime.failures import Failure
from diamond.runtime.folder import open_run
from diamond.runtime.loop import Schedule, train
from diamond.runtime.progress import Lines


class State(NamedTuple):
    step: np.ndarray
    params: dict[str, Any]


class Drift:
    """x <- 0.9 x + mean of the batch; not finite after a chosen step."""

    def __init__(
        self, *, sleep=0.0, compiles=True, bad_loss_at=None, bad_params_at=None
    ):
        self.sleep = sleep
        self.compiles = compiles
        self.bad_loss_at = bad_loss_at
        self.bad_params_at = bad_params_at
        self.evaluated = []

    def init(self, key):
        x = np.asarray(jax.random.uniform(key, (4,)))
        return State(np.asarray(0, np.int32), {"x": x})

    def step(self, state, batch):
        time.sleep(self.sleep)
        done = int(state.step) + 1
        x = (0.9 * state.params["x"] + batch["x"].mean()).astype(np.float32)
        loss = np.array([x[0], x[1]])
        if done == self.bad_loss_at:
            loss = np.array([x[0], np.nan])
        if done == self.bad_params_at:
            x = x * np.inf
        return State(np.asarray(done, np.int32), {"x": x}), {"loss": loss}

    def evaluate(self, state, data):
        self.evaluated.append(int(state.step))
        return {"mean": float(state.params["x"].mean())}

    def is_compiled(self, state):
        return int(state.step) > 0 or not self.compiles


class Numbers:
    """Batches that are a function of the step."""

    classes = None

    def __init__(self, held=3):
        self.held = held

    def batch_at(self, step):
        return {"x": np.random.default_rng(step).normal(size=5)}

    def held_out(self):
        return {"x": np.zeros(self.held)}

    def example_shapes(self):
        return {"x": jax.ShapeDtypeStruct((5,), np.float64)}

    def fingerprint(self):
        return "numbers"


def final_params(steps, seed=0):
    """Returns what an undisturbed run ends with."""
    engine, data = Drift(), Numbers()
    state = engine.init(jax.random.key(seed))
    for step in range(steps):
        state, _ = engine.step(state, data.batch_at(step))
    return state.params["x"]


def main(out, steps, sleep, compiles=""):
    """Trains in a process that a test may kill."""
    schedule = Schedule(int(steps), checkpoint_every=3)
    engine = Drift(sleep=float(sleep), compiles=bool(compiles))
    try:
        with open_run(Path(out), "drift") as run:
            train(engine, Numbers(), schedule, run, progress=Lines(sys.stderr))
    except Failure as failure:
        print(failure, file=sys.stderr)
        sys.exit(failure.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
