"""What a file means: the scheme that is made of it, and the errors side by side."""

import pytest

from diamond.dsl.diagnostics import Diagnostic, SchemeError
from diamond.dsl.load import diagnose, load_text
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import (
    Axis,
    Call,
    CrossEntropy,
    Int8,
    Link,
    Local,
    Mlp,
    Nesterov,
    NoCompression,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Text,
    Train,
    Transformer,
)
from tests.dsl.unbuilt import without

SKETCH = """
# Two sites over a thin wire, eight chips each.
scheme two_sites
let peak = 3e-4

model transformer { layers = 12; width = 768; heads = 12; context = 1024 }

data text {
  files    = "corpus/*.txt"
  batch    = 256
  held_out = 5 %
}

train {
  optimizer = adamw(lr = warmup_cosine(peak = peak, warmup = 200 steps), b1 = 0.95)
  loss      = cross_entropy
  steps     = 20_500
}

hardware {
  link site = 1 Gbit/s, 30 ms
  link host = 400 Gbit/s, 5 us
}

mesh { site = 2; host = 8 }

replicas over host { }
replicas over site {
  centralization = allreduce
  consistency    = synchronous for 500 steps,
                   then local(every = 50, outer = nesterov(lr = 0.7, momentum = 0.9))
  compression    = int8(block = 128, feedback = true)
}
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ["D067"]),
        ("# nothing\n", ["D067"]),
        ("scheme a", ["D067"]),
        ("let a = 1", ["D060", "D067"]),
        ("train { }", []),
        ("modle mlp { }", ["D020"]),
        ("mlp {", ["D011", "D020"]),
        ("mesh", ["D010"]),
    ],
)
def test_nothing_is_declared(text: str, found: list[str]) -> None:
    assert sorted(codes(text)) == found


def findings(text: str) -> list[Diagnostic]:
    return list(diagnose(Source("a.diamond", text))[1])


def codes(text: str) -> list[str]:
    return [one.code for one in findings(text)]


def test_the_whole_language_becomes_a_scheme() -> None:
    scheme, warnings = load_text(SKETCH)
    outer = Local(every=50, outer=Nesterov(lr=0.7, momentum=0.9))
    warmup = Call("warmup_cosine", (("peak", 3e-4), ("warmup", 200)))
    assert warnings == ()
    assert scheme == Scheme(
        "two_sites",
        model=Transformer(layers=12, width=768, heads=12, context=1024),
        data=Text(batch=256, files="corpus/*.txt", held_out=0.05),
        train=Train(
            optimizer=Call("adamw", (("learning_rate", warmup), ("b1", 0.95))),
            loss=CrossEntropy(),
            steps=20_500,
        ),
        mesh=(Axis("site", 2), Axis("host", 8)),
        hardware=(Link("site", 1e9, 0.03), Link("host", 4e11, 5e-6)),
        replicas=(
            Replicas("host"),
            Replicas(
                "site",
                consistency=Scheduled(((Synchronous(), 500), (outer, None))),
                compression=Int8(block=128),
            ),
        ),
    )


def test_an_empty_file_is_a_scheme_named_after_it() -> None:
    scheme, _ = load_text("", "my-runs/two sites.diamond")
    assert scheme == Scheme("two_sites")


def test_numbers_take_the_type_of_their_argument() -> None:
    scheme, _ = load_text("train { optimizer = sgd(lr = 1); steps = 1e4 }")
    rate = scheme.train.optimizer.arguments[0][1]
    assert (type(rate), type(scheme.train.steps)) == (float, int)


def test_constants_stand_for_any_value() -> None:
    scheme, _ = load_text(
        """
        let n = 2
        let block = 64
        let codec = int8(block = block)
        let rule = synchronous for n, then local(every = 5)
        mesh { host = n }
        train { steps = 12 }
        replicas over host { compression = codec; consistency = rule }
        """
    )
    [replicas] = scheme.replicas
    assert replicas.compression == Int8(block=64)
    assert replicas.consistency == Scheduled(
        ((Synchronous(), 2), (Local(every=5), None))
    )


@pytest.mark.parametrize("length", ["n", "n steps", "n step"])
def test_a_length_may_be_a_constant_and_its_value_on_the_next_line(length: str) -> None:
    scheme, _ = load_text(
        f"""
        let n = 20 steps
        mesh {{ host = 2 }}
        replicas over host {{
          consistency = synchronous for {length}, then
            local(every = 5)
        }}
        """
    )
    rule = scheme.replicas[0].consistency
    assert rule == Scheduled(((Synchronous(), 20), (Local(every=5), None)))


def codec_of(text: str) -> object:
    text = f"mesh {{ a = 2 }}; replicas over a {{ compression = {text} }}"
    return load_text(text)[0].replicas[0].compression


def test_a_list_has_any_number_of_items() -> None:
    assert codec_of("int8(exclude = [])") == Int8()
    assert codec_of('int8(exclude = ["*/b",])') == Int8(exclude=("*/b",))
    assert codec_of('int8(exclude = [\n"a", # 1\n"b"\n])') == Int8(exclude=("a", "b"))


def test_a_list_and_its_items_may_be_constants() -> None:
    text = 'let item = "a*"; let items = [item, "b"]; mesh { a = 2 };'
    text += "replicas over a { compression = int8(exclude = items) }"
    [replicas] = load_text(text)[0].replicas
    assert replicas.compression == Int8(exclude=("a*", "b"))


def test_words_of_the_language_go_before_constants() -> None:
    text = (
        "let none = 3; mesh { host = none }; replicas over host { compression = none }"
    )
    scheme, _ = load_text(text)
    assert scheme.mesh == (Axis("host", 3),)
    assert scheme.replicas[0].compression == NoCompression()


def test_an_error_in_a_constant_shows_both_places() -> None:
    text = 'let e = "x"\nmesh { a = 2 }\n'
    text += "replicas over a { consistency = local(every = e) }"
    [found] = findings(text)
    assert found.span is not None
    assert text[found.span.start : found.span.stop] == '"x"'
    assert text[found.labels[0].span.start :].startswith("e)")


def test_syntax_and_meaning_are_reported_together() -> None:
    text = "model mlp { widht = 3 }\ntrain { steps: 4; seed = 1.5 }"
    assert codes(text) == ["D022", "D005", "D024"]


def test_what_a_broken_statement_may_have_held_is_not_missed() -> None:
    text = """
        mesh { site = ; host = 2 }
        data digits { batch = 7 }
        replicas over site { }
        replicas over host { consistency = local(evry: 3) }
        """
    assert set(codes(text)) == {"D010", "D005", "D021"}


def test_a_rule_stays_silent_about_what_could_not_be_read() -> None:
    text = "mesh { host = 0 }; data digits { batch = 7 }; replicas over host { }"
    assert codes(text) == ["D028"]
    text = "mesh { a = 2; b = 2 }; replicas over a { consistency = locl }; "
    text += "replicas over b { consistency = local(every = 2) }"
    assert codes(text) == ["D023"]


def test_all_errors_are_sorted_by_place() -> None:
    text = "train { seed = x; steps = 0 }; model mlp { width = -1; layers = a }"
    places = [one.span.start for one in findings(text) if one.span]
    assert places == sorted(places)
    assert len(places) == 4


def test_not_built_is_said_of_each_term_once() -> None:
    text = """
        mesh { site = 2; host = 2 }
        parallelism { zero over host }
        replicas over site { redundancy = coded }
        """
    with without("strategy", "zero"):
        assert codes(text) == ["D035", "D035"]


def test_a_term_that_is_not_built_is_checked_all_the_same() -> None:
    text = "mesh { a = 2 }; replicas over a { redundancy = coded(code = best, k = 1) }"
    assert codes(text) == ["D035", "D029", "D021"]


def test_the_default_of_an_argument_that_is_not_built_may_be_written() -> None:
    text = "mesh { a = 2 }; replicas over a { centralization = allreduce("
    with without("centralization", "allreduce", "reduce"):
        scheme, _ = load_text(text + "reduce = mean) }")
        assert codes(text + "reduce = adasum) }") == ["D036"]
    assert scheme.replicas == (Replicas("a"),)


def test_warnings_do_not_refuse() -> None:
    scheme, warnings = load_text("let unused = 1\nmodel mlp { width = 8 }")
    assert scheme.model == Mlp(width=8)
    assert [one.code for one in warnings] == ["D060"]


@pytest.mark.parametrize(
    "value",
    ["10 GiB", '"10"', "true", "auto", "x", "x(y = 1)", "1 for 2 steps, then 3", "1.5"],
)
def test_a_whole_number_takes_nothing_else(value: str) -> None:
    with pytest.raises(SchemeError):
        load_text(f"train {{ seed = {value} }}")
