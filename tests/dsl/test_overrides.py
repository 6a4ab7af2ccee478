"""`--set path=value`: what each path changes, and how a wrong one is refused."""

import pytest

from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.load import load_text
from diamond.dsl.vocabulary import (
    Arrays,
    Axis,
    Call,
    Int8,
    Link,
    Local,
    Mlp,
    Nesterov,
    Scheduled,
    Scheme,
    Synchronous,
    Text,
)

TEXT = """
let rate = 3e-4
let codec = int8(block = 32)
model mlp { width = 64 }
data digits { batch = 64 }
train { optimizer = adamw(lr = rate); steps = 1000 }
hardware { link site = 1 Gbit/s, 30 ms }
mesh { site = 2; host = 4 }
replicas over site {
  consistency = synchronous for 500 steps, then local(every = 50)
  compression = codec
}
replicas over host { }
"""


def load(*overrides: str) -> Scheme:
    return load_text(TEXT, overrides=overrides)[0]


def refusals(*overrides: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(SchemeError) as refusal:
        load(*overrides)
    return refusal.value.diagnostics


def test_settings_that_are_written() -> None:
    scheme = load("train.steps=700", "model.width=32", " data.batch = 128 ")
    assert scheme.train.steps == 700
    assert scheme.model == Mlp(width=32)
    assert getattr(scheme.data, "batch", None) == 128


def test_settings_that_are_not_written() -> None:
    scheme = load("train.seed=3", "replicas.host.compression=int8(block=8)")
    assert scheme.train.seed == 3
    assert scheme.replicas[1].compression == Int8(block=8)


def test_a_block_that_is_not_written() -> None:
    scheme, _ = load_text("", overrides=["train.steps=5", "train.optimizer.lr=0.5"])
    assert scheme.train.steps == 5
    assert scheme.train.optimizer == Call("adam", (("learning_rate", 0.5),))


def test_arguments_inside_a_schedule() -> None:
    [site, _] = load("replicas.site.consistency.every=10").replicas
    assert site.consistency == Scheduled(
        ((Synchronous(), 500), (Local(every=10), None))
    )


def test_arguments_at_any_depth() -> None:
    paths = ("outer=nesterov", "outer.lr=0.5", "outer.momentum=0.8")
    [site, _] = load(*[f"replicas.site.consistency.{path}" for path in paths]).replicas
    assert isinstance(site.consistency, Scheduled)
    last = site.consistency.phases[-1][0]
    assert last == Local(every=50, outer=Nesterov(lr=0.5, momentum=0.8))


def test_an_argument_by_its_other_name() -> None:
    scheme = load("train.optimizer.learning_rate=1e-3")
    assert scheme.train.optimizer == Call("adamw", (("learning_rate", 1e-3),))


def test_an_argument_of_a_constant() -> None:
    assert load("replicas.site.compression.block=8").replicas[0].compression == Int8(8)


def test_constants_axes_and_links() -> None:
    scheme = load("rate=0.5", "mesh.site=4", "hardware.site=2 Gbit/s, 5 us")
    assert scheme.train.optimizer.arguments == (("learning_rate", 0.5),)
    assert scheme.mesh == (Axis("site", 4), Axis("host", 4))
    assert scheme.hardware == (Link("site", 2e9, 5e-6),)


def test_parts_of_a_link() -> None:
    assert load("hardware.site.latency=1 s").hardware == (Link("site", 1e9, 1.0),)
    assert load("hardware.site.bandwidth=1 GB/s").hardware == (Link("site", 8e9, 0.03),)


ARRAYS = 'let where = "a.npz"; data arrays { file = where; batch = 8 }'


@pytest.mark.parametrize(
    ("value", "file"),
    [
        ('"reg2.npz"', "reg2.npz"),
        ('"my data; all #2.npz"', "my data; all #2.npz"),
        ("reg2.npz", "reg2.npz"),
        (" ../data/2024-01.npz ", "../data/2024-01.npz"),
        ("none", "none"),
        ("where", "a.npz"),
    ],
)
def test_strings_with_quotes_or_without(value: str, file: str) -> None:
    scheme, _ = load_text(ARRAYS, overrides=[f"data.file={value}"])
    assert scheme.data == Arrays(file, batch=8)


def test_patterns_and_names_without_quotes() -> None:
    text, _ = load_text("data text { }", overrides=["data.files=corpus/*.txt"])
    assert text.data == Text(files="corpus/*.txt")
    renamed, _ = load_text(ARRAYS, overrides=["where=b.npz"])
    assert renamed.data == Arrays("b.npz", batch=8)
    arrays, _ = load_text(ARRAYS, overrides=["data.inputs=images"])
    assert arrays.data == Arrays("a.npz", batch=8, inputs="images")


def test_lists() -> None:
    [site, _] = load('replicas.site.compression.exclude=["a*", "b"]').replicas
    assert site.compression == Int8(32, exclude=("a*", "b"))
    [site, _] = load("replicas.site.compression.exclude=[]").replicas
    assert site.compression == Int8(32)


def test_one_override_as_one_string() -> None:
    scheme, _ = load_text(TEXT, overrides="train.steps=700")
    assert scheme.train.steps == 700


@pytest.mark.parametrize(
    ("override", "warned"),
    [("train.steps=40", []), ("train.seed=1", ["evaluate"]), ("rate=1", ["evaluate"])],
)
def test_a_shorter_run_warns_of_nothing_in_the_file(
    override: str, warned: list[str]
) -> None:
    steps = 400 if "steps" in override else 40
    text = f"let rate = 0.5; train {{ steps = {steps}; evaluate = 100; "
    text += "optimizer = sgd(lr = rate) }"
    _, found = load_text(text, overrides=[override])
    assert [name for name in warned if f"`{name} = 100`" in found[0].message] == warned
    assert len(found) == len(warned)


def test_the_last_of_two_counts() -> None:
    assert load("train.steps=700", "train.steps=800").train.steps == 800


@pytest.mark.parametrize(
    ("override", "code", "marked"),
    [
        ("train.steps", "D070", "train.steps"),
        ("=3", "D070", ""),
        ("train..steps=3", "D070", "train..steps"),
        ("train.steps=", "D070", ""),
        ('data.batch="8"', "D024", '"8"'),
        ("model.width=a/b.txt", "D010", "/"),
        ("train.steps=1; seed=2", "D070", ";"),
        ("trian.steps=3", "D071", "trian"),
        ("train=3", "D071", "train"),
        ("nothing=3", "D071", "nothing"),
        ("replicas.hots.compression=int8", "D071", "hots"),
        ("replicas.host=int8", "D071", "host"),
        ("mesh.hots=3", "D071", "hots"),
        ("mesh.host.size=3", "D071", "size"),
        ("hardware.host=1 Gbit/s", "D071", "host"),
        ("hardware.site.speed=1 Gbit/s", "D071", "speed"),
        ("parallelism.host.stage=3", "D071", "parallelism"),
        ("train.steps.more=3", "D071", "more"),
        ("train.evaluate.every=3", "D071", "every"),
        ("replicas.site.consistency.evry=3", "D071", "evry"),
        ("train.stepz=3", "D022", "stepz"),
        ("train.optimizer.b3=3", "D021", "b3"),
        ("train.steps=many", "D031", "many"),
        ("train.steps=-1", "D028", "-1"),
        ("hardware.site.latency=3", "D027", "3"),
        ("replicas.host.redundancy=coded", "D035", "coded"),
        ("replicas.host.compression=int8(block=0)", "D028", "0"),
        ('replicas.host.compression=int8(exclude="a")', "D024", '"a"'),
        ('replicas.site.compression.exclude=["a"', "D011", ""),
        ("train.steps=[3]", "D024", "[3]"),
    ],
)
def test_refused(override: str, code: str, marked: str) -> None:
    found = refusals(override)[0]
    assert (found.code, found.severity) == (code, "error")
    assert found.source is not None
    assert (found.source.name, found.source.text) == ("--set", override)
    assert found.span is not None
    assert override[found.span.start : found.span.stop] == marked


def test_an_ambiguous_phase_is_refused() -> None:
    text = (
        "mesh { a = 2 }; replicas over a { consistency = local(every = 5) for 5 steps, "
    )
    text += "then local(every = 10) }"
    with pytest.raises(SchemeError, match="2 phases of the schedule can take `every`"):
        load_text(text, overrides=["replicas.a.consistency.every=3"])


def test_errors_of_the_file_and_of_overrides_come_together() -> None:
    with pytest.raises(SchemeError) as refusal:
        load_text("train { seed = x }", overrides=["train.steps=0"])
    assert {(d.code, d.source is None) for d in refusal.value.diagnostics} == {
        ("D031", True),
        ("D028", False),
    }


def test_an_override_may_take_part_in_an_error_of_the_file() -> None:
    [found] = refusals("mesh.host=3")
    assert found.code == "D044"
    assert found.source is None
    assert found.help is not None
    assert "`--set mesh.host=3`" in found.help


def test_a_part_of_the_file_may_take_part_in_an_error_of_an_override() -> None:
    [found] = refusals("data.batch=63")
    assert found.source is not None
    assert found.help is not None
    assert "<text>:8:15" in found.help
