"""The rules between clauses, for schemes that are built in Python."""

import dataclasses

import pytest
from hypothesis import given

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import emit
from diamond.dsl.legality import legality
from diamond.dsl.load import load_text, verify_scheme
from diamond.dsl.vocabulary import (
    AUTO,
    Arrays,
    Average,
    Axis,
    Call,
    Cast,
    Coded,
    Digits,
    Int8,
    Link,
    Local,
    MeanSquaredError,
    Mlp,
    Nesterov,
    NoCompression,
    Parallel,
    Replicas,
    Scheduled,
    Scheme,
    SlowMo,
    Synchronous,
    Tensor,
    Text,
    TopK,
    Train,
    Transformer,
    Zero,
)
from diamond.dsl.vocabulary.scheme import Consistency
from tests.dsl.drawn import schemes
from tests.dsl.unbuilt import without

SYNC = Synchronous()


def nest(*rules: object, steps: int = 1000) -> Scheme:
    """Returns a scheme of axes a, b, c, of two members each, with these rules."""
    names = "abc"[: len(rules)]
    return Scheme(
        "nest",
        train=Train(steps=steps),
        mesh=tuple(Axis(name, 2) for name in names),
        replicas=tuple(
            Replicas(name, consistency=rule)  # type: ignore[arg-type]
            for name, rule in zip(names, rules, strict=True)
        ),
    )


def then(*phases: object) -> Scheduled[Consistency]:
    """Returns a schedule from rules and lengths in turn."""
    pairs = zip(phases[::2], [*phases[1::2], None], strict=True)
    return Scheduled(tuple(pairs))  # type: ignore[arg-type]


def local(every: int) -> Local:
    return Local(every=every)


def codes(scheme: Scheme) -> list[str]:
    return [finding.code for finding in legality(scheme)]


LEGAL = [
    nest(SYNC),
    nest(SYNC, SYNC, SYNC),
    nest(local(10), SYNC),
    nest(local(10), local(10)),
    nest(local(20), local(10), local(5)),
    nest(then(SYNC, 500, local(50)), SYNC),
    nest(then(SYNC, 500, local(50)), then(SYNC, 500, local(10))),
    nest(then(local(5), 500, local(2)), then(SYNC, 500, local(2))),
    nest(then(SYNC, 20, local(20)), then(SYNC, 40, local(10))),
    nest(local(20), then(SYNC, 40, local(5), 40, local(10))),
]


@pytest.mark.parametrize("scheme", LEGAL)
def test_legal(scheme: Scheme) -> None:
    assert codes(scheme) == []


@pytest.mark.parametrize(
    ("scheme", "code"),
    [
        (nest(SYNC, local(10)), "D045"),
        (nest(SYNC, SYNC, local(10)), "D045"),
        (nest(local(10), SYNC, local(10)), "D045"),
        (nest(then(SYNC, 500, local(50)), then(SYNC, 400, local(10))), "D045"),
        (nest(local(50), local(20)), "D046"),
        (nest(local(5), local(10)), "D046"),
        (nest(local(50), then(SYNC, 500, local(20))), "D046"),
        (nest(local(20), then(SYNC, 6, local(10), 990, local(2))), "D047"),
        (nest(then(local(30), 500, local(10))), "D048"),
        (nest(then(local(10), 500, SYNC)), "D049"),
        (nest(then(SYNC, 10, local(5), 5, local(2), 4, SYNC)), "D049"),
        (nest(local(10), then(local(10), 500, SYNC)), "D049"),
    ],
)
def test_illegal_in_time(scheme: Scheme, code: str) -> None:
    errors = [one.code for one in legality(scheme) if one.severity == "error"]
    assert set(errors) == {code}


def test_each_return_to_synchronous_is_a_finding_of_its_own() -> None:
    scheme = nest(then(local(5), 10, SYNC, 10, SYNC, 10, local(5), 10, SYNC))
    found = legality(scheme)
    assert [(one.code, one.path[-1]) for one in found] == [("D049", "1"), ("D049", "4")]
    assert [one.labels[0][0][-1] for one in found] == ["0", "3"]


def test_order_of_axes_is_that_of_the_mesh() -> None:
    scheme = nest(local(10), SYNC)
    swapped = dataclasses.replace(scheme, replicas=scheme.replicas[::-1])
    assert codes(swapped) == []


@pytest.mark.parametrize(
    ("scheme", "code"),
    [
        (nest(local(30), steps=1000), "D063"),
        (nest(local(2000), steps=1000), "D062"),
        (nest(local(1)), "D064"),
        (nest(then(SYNC, 1000, local(10))), "D065"),
        (nest(then(local(30), 990, local(20)), steps=100), "D063"),
    ],
)
def test_warnings_about_time(scheme: Scheme, code: str) -> None:
    found = legality(scheme)
    assert code in [one.code for one in found]
    assert {one.severity for one in found} == {"warning"}


def test_nesterov_at_every_step_is_not_warned_of() -> None:
    assert codes(nest(Local(every=1, outer=Nesterov()))) == []


def test_messages_spell_the_numbers_out() -> None:
    [finding] = legality(nest(local(50), local(12), steps=600))
    assert finding.path == ("replicas", "a", "consistency", "every")
    assert finding.message == (
        "`every = 50` over `a` is no multiple of `every = 12` over `b`, inside it"
    )
    assert finding.expected == "a multiple of 12, such as 48 or 60"


def test_paths_name_the_phase() -> None:
    [finding] = legality(nest(then(SYNC, 10, local(30), 50, local(10))))
    assert finding.path == ("replicas", "a", "consistency", "1")


def with_parts(**parts: object) -> Scheme:
    base = Scheme("s", mesh=(Axis("a", 2),), replicas=(Replicas("a"),))
    return dataclasses.replace(base, **parts)  # type: ignore[arg-type]


def warmed_up(warmup: int, schedule: str = "warmup_linear") -> Train:
    rate = Call(schedule, (("peak", 0.1), ("warmup", warmup)))
    return Train(optimizer=Call("sgd", (("lr", rate),)), steps=10)


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"replicas": ()}, "D042"),
        ({"replicas": (Replicas("b"),)}, "D040"),
        ({"mesh": (Axis("a", 2), Axis("a", 2))}, "D026"),
        ({"replicas": (Replicas("a"), Replicas("a"))}, "D026"),
        ({"hardware": (Link("b", 1e9),)}, "D043"),
        ({"mesh": (Axis("a", 1),), "hardware": (Link("a", 1e9),)}, "D043"),
        ({"data": Digits(batch=7)}, "D044"),
        ({"model": Transformer(), "data": Digits(batch=8)}, "D050"),
        ({"model": Mlp(), "data": Text(batch=8)}, "D050"),
        ({"data": Text(batch=8), "train": Train(loss=MeanSquaredError())}, "D051"),
        ({"model": Transformer(width=9, heads=2)}, "D052"),
        ({"model": Transformer(width=6, heads=2)}, "D052"),
        ({"train": warmed_up(10)}, "D053"),
        ({"train": warmed_up(-1)}, "D053"),
        ({"train": Train(steps=10, evaluate=20)}, "D066"),
        ({"train": Train(steps=10, checkpoint=20)}, "D066"),
        ({"data": Arrays(file="x.npy", inputs="y")}, "D066"),
        ({"train": Train(optimizer=Call("adamm", (("lr", 0.1),)))}, "D023"),
        ({"train": Train(optimizer=Call("adam", (("lr", 0.1), ("b", 1.0))))}, "D021"),
        ({"train": Train(optimizer=Call("adam"))}, "D025"),
        ({"train": Train(optimizer=Call("adam", (("lr", "x"),)))}, "D024"),
        ({"replicas": (Replicas("a", compression=AUTO),)}, "D034"),
        ({"replicas": (Replicas("a", redundancy=Coded()),)}, "D035"),
        ({"replicas": (Replicas("a", compression=Int8(feedback=False)),)}, "D061"),
    ],
)
def test_each_rule(parts: dict[str, object], code: str) -> None:
    assert codes(with_parts(**parts)) == [code]


@pytest.mark.parametrize("warmup", [0, 9])
def test_a_warm_up_that_fits(warmup: int) -> None:
    assert codes(with_parts(train=warmed_up(warmup))) == []
    assert codes(with_parts(train=warmed_up(warmup, "warmup_cosine"))) == []


def test_a_warm_up_of_optax_may_outlast_the_run() -> None:
    shape = (("init_value", 0.0), ("peak_value", 0.1), ("warmup_steps", 20))
    rate = Call("warmup_constant_schedule", shape)
    train = Train(optimizer=Call("sgd", (("lr", rate),)), steps=10)
    assert codes(with_parts(train=train)) == []


def test_nothing_is_declared() -> None:
    assert codes(Scheme("s")) == ["D067"]
    assert codes(Scheme("s", data=Digits())) == []


def test_an_axis_has_one_role() -> None:
    laid = with_parts(parallelism=(Parallel(Tensor(), "a"),))
    assert codes(laid) == ["D041"]
    twice = (Parallel(Tensor(), "a"), Parallel(Zero(), "a"))
    assert "D026" in codes(with_parts(parallelism=twice, replicas=()))


def test_what_is_not_built_inside_a_term() -> None:
    rule = Local(every=10, outer=SlowMo(), fragments=4)
    replicas = Replicas("a", consistency=rule, compression=TopK(feedback=False))
    with (
        without("outer", "slowmo"),
        without("consistency", "local", "fragments"),
        without("compression", "topk"),
    ):
        found = legality(with_parts(replicas=(replicas,)))
    assert [(one.code, one.path[2:]) for one in found] == [
        ("D035", ("consistency", "outer")),
        ("D036", ("consistency", "fragments")),
        ("D035", ("compression",)),
    ]


@pytest.mark.parametrize(
    "codec", [NoCompression(), Cast(feedback=False), Cast(to="fp16"), Int8()]
)
def test_codecs_without_a_warning(codec: object) -> None:
    replicas = Replicas("a", compression=codec)  # type: ignore[arg-type]
    assert codes(with_parts(replicas=(replicas,))) == []


def test_average_is_the_plain_outer_step() -> None:
    assert Local(every=3) == Local(every=3, outer=Average())


@given(schemes())
def test_text_and_python_are_judged_alike(scheme: Scheme) -> None:
    _, warnings = load_text(emit(scheme))
    said = sorted(one.message for one in warnings)
    assert said == sorted(one.message for one in verify_scheme(scheme))


def test_a_python_scheme_is_refused_without_places() -> None:
    with pytest.raises(SchemeError) as refusal:
        verify_scheme(with_parts(replicas=(), data=Digits(batch=7)))
    found = refusal.value.diagnostics
    assert [(one.code, one.span) for one in found] == [("D042", None), ("D044", None)]
    assert refusal.value.source is None
