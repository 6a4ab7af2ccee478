import dataclasses

import pytest

from diamond.dsl.vocabulary import (
    Axis,
    Call,
    Digits,
    Int8,
    Link,
    Local,
    Mlp,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Train,
)
from diamond.runtime.checkpoints.identity import (
    check_identity,
    describe,
    tell_changes,
)
from diamond.runtime.failures import EnvironmentProblem

SCHEME = Scheme(
    "tiny",
    model=Mlp(width=8),
    data=Digits(batch=32),
    train=Train(steps=10),
    mesh=(Axis("site", 2), Axis("host", 2)),
    replicas=(
        Replicas("site", consistency=Local(every=5)),
        Replicas("host", compression=Int8()),
    ),
)


def changed(**fields):
    return dataclasses.replace(SCHEME, **fields)


def train(**fields):
    return changed(train=dataclasses.replace(SCHEME.train, **fields))


def over_site(**fields):
    site = dataclasses.replace(SCHEME.replicas[0], **fields)
    return changed(replicas=(site, SCHEME.replicas[1]))


HARMLESS = {
    "evaluate": train(evaluate=5),
    "checkpoint": train(checkpoint=5),
    "name": changed(name="other"),
    "hardware": changed(hardware=(Link("site", 1e9),)),
}

HARMFUL = {
    "model": changed(model=Mlp(width=9)),
    "data": changed(data=Digits(batch=64)),
    "train.seed": train(seed=1),
    "train.precision": train(precision="fp64"),
    "train.optimizer": train(optimizer=Call("sgd", (("learning_rate", 0.1),))),
    "mesh": changed(mesh=(Axis("site", 2), Axis("host", 4))),
    "replicas over site: consistency": over_site(consistency=Local(every=4)),
    "replicas over site: compression": over_site(
        compression=Scheduled(((Int8(), 5), (Int8(block=8), None)))
    ),
}


def held_against(now):
    return differences(describe(SCHEME, "mesh", "00"), now)


def differences(saved, now):
    notes = []
    check_identity(saved, now)
    tell_changes(saved, now, notes.append)
    return notes


@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_not_touch_the_numbers_may_change(name):
    assert held_against(describe(HARMLESS[name], "mesh", "00")) == []


def test_training_may_become_longer_and_schedules_with_it():
    rate = Call("warmup_cosine", (("peak", 0.1), ("warmup", 2)))
    optimizer = Call("adam", (("learning_rate", rate),))
    saved, now = (
        describe(train(steps=steps, optimizer=optimizer), "mesh", "00")
        for steps in (10, 20)
    )
    (note,) = differences(saved, now)
    assert note.startswith("train.steps was 10 and is 20: `warmup_cosine`, which spans")


def test_without_such_a_schedule_there_is_nothing_to_tell():
    assert held_against(describe(train(steps=20), "mesh", "00")) == []


def test_an_optimizer_may_spell_its_defaults_out():
    given = Call("adam", (("b1", 0.9), ("lr", 1e-3), ("nesterov", False)))
    assert held_against(describe(train(optimizer=given), "mesh", "00")) == []
    with pytest.raises(EnvironmentProblem, match=r"now adam\(b1 = 0.8, lr = 0.001\)"):
        other = Call("adam", (("b1", 0.8), ("lr", 1e-3)))
        held_against(describe(train(optimizer=other), "mesh", "00"))


@pytest.mark.parametrize("name", HARMFUL)
def test_anything_else_is_refused_by_its_field(name):
    with pytest.raises(EnvironmentProblem) as error:
        held_against(describe(HARMFUL[name], "mesh", "00"))
    lines = str(error.value).splitlines()
    assert [line.split(": saved ")[0].strip() for line in lines[1:-1]] == [name]


def test_the_difference_is_written_as_the_language_writes_it():
    with pytest.raises(EnvironmentProblem) as error:
        held_against(describe(over_site(consistency=Synchronous()), "mesh", "00"))
    assert "saved local(every = 5), now synchronous" in str(error.value)


def test_another_engine_and_other_data_are_refused():
    with pytest.raises(EnvironmentProblem, match="engine: saved mesh, now reference"):
        held_against(describe(SCHEME, "reference", "00"))
    with pytest.raises(EnvironmentProblem, match="data contents: saved 00, now 01"):
        held_against(describe(SCHEME, "mesh", "01"))


def test_other_versions_are_told():
    now = describe(SCHEME, "mesh", "00")
    now["versions"] = {**now["versions"], "jax": "99"}
    head, line = held_against(now)
    assert "other versions" in head
    assert line.endswith("now 99")
