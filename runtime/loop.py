"""The training loop: start or resume, step, evaluate, save, end.

Two steps are on their way at any time: while one runs, the host hands out the next.
Losses are fetched every few steps, once the step after them is on its way.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import jax

from diamond.runtime import finite
from diamond.runtime.checkpoints import CheckpointStore, abstract
from diamond.runtime.checkpoints.identity import check_identity, tell_changes
from diamond.runtime.data import Batch, Dataset, Prefetcher
from diamond.runtime.failures import EnvironmentProblem, Interrupted, RunFailed
from diamond.runtime.folder import RunFolder
from diamond.runtime.metrics import MetricsLog, Unlogged
from diamond.runtime.processes import ALONE, Peers
from diamond.runtime.processes.accord import Accord
from diamond.runtime.processes.arrays import first_bad_here, on_host
from diamond.runtime.progress import Progress, Silent
from diamond.runtime.stopping import Stopper
from diamond.runtime.stopwatch import Stopwatch


class Engine(Protocol):
    """What the loop trains with.

    A state is a pytree with `step`, the number of steps taken, on the host, and
    `params`, the parameters.
    """

    def init(self, key: jax.Array) -> Any:
        """Returns the state before the first step."""

    def step(self, state: Any, batch: Batch) -> tuple[Any, Mapping[str, Any]]:
        """Returns the next state and `loss`, an array with one loss a member."""

    def evaluate(self, state: Any, data: Batch) -> dict[str, float]:
        """Returns metrics over any number of examples."""

    def is_compiled(self, state: Any) -> bool:
        """Whether the next step runs without compiling first."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When the loop does what.

    Attributes:
        steps: Steps to train.
        evaluate_every: Steps between evaluations; at the end only where None.
        checkpoint_every: Steps between checkpoints; at the end only where None.
        log_every: Steps between records of the loss.
    """

    steps: int
    evaluate_every: int | None = None
    checkpoint_every: int | None = None
    log_every: int = 10


@dataclass(frozen=True, slots=True)
class Result:
    """How training ended.

    Attributes:
        steps: Steps taken, over all starts.
        loss: Mean loss of the last record; None where none was ever written.
        metrics: What the last evaluation gave; empty where nothing is held out.
        steps_per_second: Of this start, without compiling, evaluating and saving;
            None where it took no step.
        checkpoint: The folder of the final state.
        student: How the training of an ensemble's student ended, if there is one.
    """

    steps: int
    loss: float | None
    metrics: dict[str, float]
    steps_per_second: float | None
    checkpoint: Path
    student: "Result | None" = None


def train(
    engine: Engine,
    dataset: Dataset,
    schedule: Schedule,
    run: RunFolder,
    *,
    seed: int = 0,
    meta: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    peers: Peers = ALONE,
) -> Result:
    """Trains from the newest checkpoint of a run folder, or from the start.

    Args:
        engine: What steps are taken with.
        dataset: What is trained on; its batches are a function of the step alone.
        schedule: When what is done.
        run: The folder, opened.
        seed: Seed of the initial parameters.
        meta: What a checkpoint must agree on; see `describe`.
        progress: What is told of it; nothing where not given.
        peers: The processes that train together; the first writes what is written.

    Raises:
        RunFailed: If the loss or the parameters stop being finite.
        Interrupted: If SIGINT or SIGTERM came; the state is saved.
        EnvironmentProblem: If the folder's checkpoint belongs to another scheme.
    """
    teller = Silent() if progress is None else progress
    store = CheckpointStore(run.checkpoints, warn=teller.note, peers=peers)
    described = dict(meta or {})
    with contextlib.ExitStack() as stack:
        stack.callback(teller.stop)
        stopper = stack.enter_context(Stopper(teller))
        with stopper.nothing_to_save():
            state = _begin(engine, store, schedule, seed, described, teller)
        accord = stack.enter_context(peers.accord())
        first = int(state.step)
        with Unlogged() if peers.rank else MetricsLog(run.metrics, after=first) as log:
            loop = _Loop(
                engine, dataset, schedule, store, log, described, teller, peers
            )
            return loop.run(state, stopper, accord)


def _begin(
    engine: Engine,
    store: CheckpointStore,
    schedule: Schedule,
    seed: int,
    meta: dict[str, Any],
    progress: Progress,
) -> Any:
    """Returns the newest state that was saved, or the initial one."""
    step = store.latest()
    if step is not None:
        saved = store.meta(step)
        check_identity(saved, meta)
        if step > schedule.steps:
            raise EnvironmentProblem(
                f"{store.folder.parent} is at step {step},"
                f" beyond the {schedule.steps} steps of the scheme"
            )
        tell_changes(saved, meta, progress.note)
    with progress.busy("initializing"):
        state = engine.init(jax.random.key(seed))
        if step is None:
            return state
        like = abstract(state)
        del state  # two of them may not fit
        restored = store.restore(step, like)
    done = "; nothing is left to train" if step == schedule.steps else ""
    progress.note(f"going on from the checkpoint of step {step}{done}")
    return restored


class _Loop:
    """One start of a run."""

    def __init__(
        self,
        engine: Engine,
        dataset: Dataset,
        schedule: Schedule,
        store: CheckpointStore,
        log: MetricsLog | Unlogged,
        meta: dict[str, Any],
        progress: Progress,
        peers: Peers,
    ) -> None:
        self._engine = engine
        self._dataset = dataset
        self._schedule = schedule
        self._store = store
        self._log = log
        self._meta = meta
        self._progress = progress
        self._peers = peers
        self._batch = next(iter(dataset.example_shapes().values())).shape[0]
        self._watch = Stopwatch()
        self._losses: list[tuple[int, Any]] = []  # on their way, not looked at yet
        self._examples = 0  # of steps that were handed out and are in no rate yet
        self._rate = 0.0
        self._saved: int | None = None

    def run(self, state: Any, stopper: Stopper, accord: Accord) -> Result:
        """Takes the steps that are left and returns how it ended."""
        first, steps = int(state.step), self._schedule.steps
        self._saved = first or None
        self._progress.start(first, steps)
        accord.begin(first)
        with Prefetcher(self._dataset.batch_at, first, steps) as batches:
            for batch in batches:
                state = self._take_step(state, batch, stopper)
                self._look_after(state)
                number = accord.after(int(state.step), stopper.signal_number)
                if number is not None:
                    raise self._interrupted(state, number)
        self._save(state)
        metrics = self._evaluate(state)
        self._progress.stop()
        rate = (steps - first) / self._watch.total if steps > first else None
        return Result(
            steps, self._log.last_loss, metrics, rate, self._store.path(steps)
        )

    def _take_step(self, state: Any, batch: Batch, stopper: Stopper) -> Any:
        done = int(state.step)
        with self._compiling(state, stopper):
            state, output = self._engine.step(state, batch)
        newest = output["loss"]
        self._examples += self._batch
        if self._losses:
            jax.block_until_ready(self._losses[-1])
            self._progress.advance(done)
        if done % self._schedule.log_every == 0:
            self._report(0 if _is_ready(newest) else self._batch)
        self._losses.append((done + 1, newest))
        return state

    @contextlib.contextmanager
    def _compiling(self, state: Any, stopper: Stopper) -> Iterator[None]:
        """Tells of it where the next step is compiled first."""
        if self._engine.is_compiled(state):
            yield
            return
        idle = not self._losses and int(state.step) == (self._saved or 0)
        leave = stopper.nothing_to_save() if idle else contextlib.nullcontext()
        with self._watch.paused(), self._progress.busy("compiling"), leave:
            yield

    def _look_after(self, state: Any) -> None:
        """Does what is due after a step other than the last."""
        done = int(state.step)
        if done == self._schedule.steps:
            return
        if _is_due(done, self._schedule.evaluate_every):
            self._evaluate(state)
        if _is_due(done, self._schedule.checkpoint_every):
            self._save(state)

    def _report(self, on_their_way: int = 0) -> None:
        """Waits for the losses so far, judges them and tells of their mean.

        Args:
            on_their_way: Examples of a step that was handed out and is not finished.
        """
        if not self._losses:
            return
        steps, losses = zip(*self._losses, strict=True)
        values = on_host(losses)
        for step, value in zip(steps, values, strict=True):
            if not finite.is_finite(value):
                raise RunFailed(self._not_finite(f"the loss of step {step}"))
        loss = float(sum(value.mean() for value in values) / len(values))
        rate = self._measured(on_their_way)
        self._losses = []
        self._log.write(
            {"step": steps[-1], "loss": loss, "examples_per_second": round(rate, 1)}
        )
        self._progress.advance(steps[-1])
        self._progress.measure(loss, rate)

    def _measured(self, on_their_way: int) -> float:
        """Returns examples a second since the last time, of steps that are finished.

        Where all of them were finished by the last time, that one's rate stands.
        """
        finished = self._examples - on_their_way
        if finished:
            self._rate = finished / self._watch.lap()
            self._examples = on_their_way
        return self._rate

    def _evaluate(self, state: Any) -> dict[str, float]:
        """Returns the metrics of the held-out data; none where nothing is held out."""
        self._report()
        data = self._dataset.held_out()
        if not len(next(iter(data.values()))):
            return {}
        step = int(state.step)
        with self._watch.paused():
            metrics = self._engine.evaluate(state, data)
        self._log.write_evaluation(step, metrics)
        figures = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        self._progress.note(f"step {step:,}: held out: {figures}")
        return metrics

    def _save(self, state: Any) -> None:
        """Saves a state whose losses and parameters are finite."""
        self._report()
        step = int(state.step)
        if step == self._saved:
            return
        with self._watch.paused():
            found = self._peers.gather(first_bad_here(state.params))
            bad = next(filter(None, found), None)
            if bad:
                raise RunFailed(self._not_finite(f"`{bad}` after step {step}"))
            self._store.save(step, state, self._meta)
        self._saved = step

    def _interrupted(self, state: Any, signal_number: int) -> Interrupted:
        self._save(state)
        return Interrupted(
            f"stopped after step {int(state.step)}; all is saved, and the same"
            " command goes on from here",
            signal_number,
        )

    def _not_finite(self, what: str) -> str:
        kept = "nothing was saved yet"
        if self._saved is not None:
            kept = f"the checkpoint of step {self._saved} is kept"
        return f"{what} is not finite, so training stopped; {kept}"


def _is_due(step: int, every: int | None) -> bool:
    return every is not None and step % every == 0


def _is_ready(loss: Any) -> bool:
    return not hasattr(loss, "is_ready") or bool(loss.is_ready())
