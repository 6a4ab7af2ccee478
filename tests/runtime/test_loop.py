import io
import json

import numpy as np
import pytest

from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.failures import EnvironmentProblem, RunFailed
from diamond.runtime.folder import open_run
from diamond.runtime.loop import Schedule, train
from diamond.runtime.progress import Lines
from tests.runtime.fakes import Drift, Numbers, final_params


def run(folder, schedule, engine=None, data=None, **options):
    with open_run(folder, "drift") as opened:
        return train(engine or Drift(), data or Numbers(), schedule, opened, **options)


def records(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def saved(folder):
    return CheckpointStore(folder / "checkpoints").steps()


def params_of(folder, step):
    store = CheckpointStore(folder / "checkpoints")
    return store.restore(step, Drift().init(__import__("jax").random.key(0))).params[
        "x"
    ]


def without_time(entries):
    times = ("seconds", "examples_per_second")
    return [{k: v for k, v in each.items() if k not in times} for each in entries]


def test_a_run_ends_with_its_result(tmp_path):
    result = run(tmp_path, Schedule(25))
    assert result.steps == 25
    assert result.checkpoint == tmp_path / "checkpoints" / "step-00000025"
    assert result.steps_per_second > 0
    expected = final_params(25)
    assert params_of(tmp_path, 25).tobytes() == expected.tobytes()
    assert result.metrics == {"mean": float(expected.mean())}


def test_the_log_has_the_mean_loss_of_each_interval(tmp_path):
    result = run(tmp_path, Schedule(25, log_every=10))
    losses = [each for each in records(tmp_path) if "loss" in each]
    assert [each["step"] for each in losses] == [10, 20, 25]
    assert losses[-1]["loss"] == result.loss
    first = [final_params(step + 1)[:2].mean() for step in range(10)]
    assert losses[0]["loss"] == pytest.approx(np.mean(first), rel=1e-6)
    assert all(each["examples_per_second"] > 0 for each in losses)


def rates(folder):
    return [each["examples_per_second"] for each in records(folder) if "loss" in each]


@pytest.mark.parametrize("steps", [10, 11, 12, 20])
@pytest.mark.parametrize("ahead", [True, False])
def test_rates_are_those_of_finished_steps(tmp_path, monkeypatch, steps, ahead):
    clock = Clock()
    monkeypatch.setattr("diamond.runtime.stopwatch.time", clock)
    run(tmp_path, Schedule(steps, log_every=10), Timed(clock, ahead))
    assert rates(tmp_path) == [pytest.approx(5 / 2)] * len(rates(tmp_path))


class Clock:
    """Stands still but where steps take their time."""

    now = 0.0

    def monotonic(self):
        return self.now


class Timed(Drift):
    """Takes 2 s a step: at once, or ahead of the host, which waits for the losses."""

    def __init__(self, clock, ahead):
        super().__init__(compiles=False)
        self.clock = clock
        self.ahead = ahead
        self.free_at = 0.0

    def step(self, state, batch):
        state, output = super().step(state, batch)
        self.free_at = max(self.free_at, self.clock.now) + 2
        if not self.ahead:
            self.clock.now = self.free_at
        return state, {"loss": Later(output["loss"], self.free_at, self.clock)}


class Later:
    """An array that is ready at some time."""

    def __init__(self, value, at, clock):
        self.value = value
        self.at = at
        self.clock = clock

    def is_ready(self):
        return self.clock.now >= self.at

    def block_until_ready(self):
        self.clock.now = max(self.clock.now, self.at)
        return self

    def __array__(self, dtype=None, copy=None):
        return self.block_until_ready().value


def test_evaluations_and_checkpoints_come_when_they_are_due(tmp_path):
    engine = Drift()
    run(tmp_path, Schedule(10, evaluate_every=4, checkpoint_every=3), engine)
    assert engine.evaluated == [4, 8, 10]
    found = [each["step"] for each in records(tmp_path) if "evaluation" in each]
    assert found == [4, 8, 10]
    assert saved(tmp_path) == (9, 10)


def test_nothing_held_out_is_not_evaluated(tmp_path):
    engine = Drift()
    assert run(tmp_path, Schedule(2), engine, Numbers(held=0)).metrics == {}
    assert engine.evaluated == []


def test_a_longer_run_goes_on_and_ends_as_if_never_stopped(tmp_path):
    run(tmp_path / "twice", Schedule(7, checkpoint_every=5))
    run(tmp_path / "twice", Schedule(20, checkpoint_every=5))
    run(tmp_path / "once", Schedule(20, checkpoint_every=5))
    twice, once = params_of(tmp_path / "twice", 20), params_of(tmp_path / "once", 20)
    assert twice.tobytes() == once.tobytes() == final_params(20).tobytes()


def test_a_finished_run_takes_no_step(tmp_path):
    first = run(tmp_path, Schedule(5))
    before = records(tmp_path)
    again = run(tmp_path, Schedule(5))
    assert again.steps_per_second is None
    assert (again.loss, again.metrics) == (first.loss, first.metrics)
    assert records(tmp_path) == before


def test_resuming_leaves_the_log_as_if_never_stopped(tmp_path):
    class Killed(BaseException):
        pass

    class Killing(Drift):
        def step(self, state, batch):
            if int(state.step) == 17:
                raise Killed
            return super().step(state, batch)

    schedule = Schedule(30, evaluate_every=6, checkpoint_every=5, log_every=2)
    with pytest.raises(Killed):
        run(tmp_path / "twice", schedule, Killing())
    with (tmp_path / "twice" / "metrics.jsonl").open("a") as log:
        log.write('{"step": 18, "lo')
    run(tmp_path / "twice", schedule)
    run(tmp_path / "once", schedule)
    twice, once = records(tmp_path / "twice"), records(tmp_path / "once")
    assert without_time(twice) == without_time(once)


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    engine = Drift(bad_loss_at=14)
    with pytest.raises(RunFailed, match=r"the loss of step 14 .* step 10 is kept"):
        run(tmp_path, Schedule(100, checkpoint_every=5, log_every=1), engine)
    assert saved(tmp_path) == (5, 10)
    assert RunFailed.exit_code == 3


def test_it_is_found_within_the_interval(tmp_path):
    taken = []

    class Counting(Drift):
        def step(self, state, batch):
            taken.append(int(state.step))
            return super().step(state, batch)

    with pytest.raises(RunFailed, match="the loss of step 14"):
        run(tmp_path, Schedule(100), Counting(bad_loss_at=14))
    assert len(taken) <= 21


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    engine = Drift(bad_params_at=10)
    with pytest.raises(RunFailed, match=r"`x` after step 10 .* step 5 is kept"):
        run(tmp_path, Schedule(20, checkpoint_every=5), engine)
    assert saved(tmp_path) == (5,)


def test_a_folder_beyond_the_scheme_is_refused(tmp_path):
    run(tmp_path, Schedule(8))
    with pytest.raises(EnvironmentProblem, match="at step 8, beyond the 4 steps"):
        run(tmp_path, Schedule(4))


def test_it_is_refused_before_anything_is_told(tmp_path):
    told = io.StringIO()
    meta = {"steps": 8, "spanning": ["cosine"]}
    run(tmp_path, Schedule(8), meta=meta)
    with pytest.raises(EnvironmentProblem, match="beyond"):
        run(tmp_path, Schedule(4), meta={**meta, "steps": 4}, progress=Lines(told))
    assert told.getvalue() == ""
    run(tmp_path, Schedule(9), meta={**meta, "steps": 9}, progress=Lines(told))
    assert "train.steps was 8 and is 9: `cosine`" in told.getvalue()


def test_a_damaged_checkpoint_is_gone_around(tmp_path):
    run(tmp_path, Schedule(8, checkpoint_every=4))
    victim = tmp_path / "checkpoints" / "step-00000008" / "MANIFEST.json"
    victim.write_bytes(victim.read_bytes()[:-1])
    run(tmp_path, Schedule(8, checkpoint_every=4))
    assert params_of(tmp_path, 8).tobytes() == final_params(8).tobytes()
    assert (tmp_path / "checkpoints" / "step-00000008.damaged").is_dir()


def test_a_checkpoint_of_another_scheme_is_refused(tmp_path):
    run(tmp_path, Schedule(2), meta={"fields": {"train.seed": "0"}})
    with pytest.raises(EnvironmentProblem, match=r"train\.seed: saved 0, now 1"):
        run(tmp_path, Schedule(4), meta={"fields": {"train.seed": "1"}})


def test_a_folder_with_other_content_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(EnvironmentProblem, match="holds no run"):
        run(tmp_path, Schedule(2))
