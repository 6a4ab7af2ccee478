"""No input brings the checker down: each ends in a scheme or in diagnostics."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diamond.dsl.codes import CODES
from diamond.dsl.load import diagnose
from diamond.dsl.render import render_all
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import FAMILIES
from diamond.dsl.vocabulary.blocks import BLOCKS
from diamond.dsl.vocabulary.fields import fields_of

BROKEN = Path(__file__).parent.parent / "broken"
FILES = sorted(BROKEN.glob("*.diamond"))
TEXTS = [path.read_bytes().decode("latin-1") for path in FILES]
CODES_KNOWN = {code.code for code in CODES}
WORDS = sorted(
    {"let", "link", "over", "for", "then", "steps", "auto", "true", "adamw", "lr"}
    | {"3", "0", "-1", "1.5", "1e300", "30 ms", "1 Gbit/s", "5 %", '"text"', "n", "a"}
    | {"{", "}", "(", ")", "=", ",", ";", "\n", "mesh { a = 2; b = 4 }\n", "[", "é"}
    | {form.word for form in BLOCKS}
    | {f.name for form in BLOCKS if form.term for f in fields_of(form.term)}
    | {row.name for rows in FAMILIES.values() for row in rows}
    | {f.name for rows in FAMILIES.values() for r in rows for f in fields_of(r.term)}
)


def assert_judged(text: str, *overrides: str) -> None:
    source = Source("a.diamond", text)
    scheme, found = diagnose(source, overrides)
    assert (scheme is None) == any(one.severity == "error" for one in found)
    for one in found:
        assert one.code in CODES_KNOWN
        home = one.source or source
        for span in (one.span, *(label.span for label in one.labels)):
            assert span is None or 0 <= span.start <= span.stop <= len(home.text) + 1
    render_all(found, source)


@given(st.lists(st.sampled_from(WORDS), max_size=40))
@settings(max_examples=300, deadline=None)
def test_any_words(words: list[str]) -> None:
    assert_judged(" ".join(words))


@given(
    st.sampled_from(TEXTS),
    st.randoms(use_true_random=False),
    st.lists(st.sampled_from(WORDS), max_size=3),
)
@settings(max_examples=300, deadline=None)
def test_any_change_of_a_file(text: str, rng: random.Random, words: list[str]) -> None:
    for word in words:
        place = rng.randrange(len(text) + 1)
        text = f"{text[:place]} {word} {text[place + rng.randrange(8) :]}"
    assert_judged(text)


PATHS = ("train.steps", "train.optimizer.lr", "replicas.a.consistency.every", "mesh.a")


@given(
    st.sampled_from(TEXTS),
    st.sampled_from(PATHS),
    st.lists(st.sampled_from(WORDS), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_any_override(text: str, path: str, words: list[str]) -> None:
    assert_judged(text, f"{path}={' '.join(words)}")


@given(st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_override_text(text: str) -> None:
    assert_judged("mesh { a = 2 }\nreplicas over a { }", text)


def doubling(depth: int) -> str:
    lets = ["let c0 = 3"]
    for i in range(1, depth):
        lets.append(f"let c{i} = adam(lr = c{i - 1}, b1 = c{i - 1}, b2 = c{i - 1})")
    return "\n".join([*lets, f"train {{ optimizer = c{depth - 1} }}"])


LONG_CHAIN = "let c0 = 3\n" + "".join(f"let c{i} = c{i - 1}\n" for i in range(1, 3000))
NESTED_LETS = "let c0 = local\n" + "".join(
    f"let c{i} = c{i - 1} for 3, then c{i - 1}\n" for i in range(1, 40)
)


@pytest.mark.parametrize(
    "text",
    [
        doubling(30),
        LONG_CHAIN + "train { steps = c2999 }",
        NESTED_LETS + "mesh { a = 2 }\nreplicas over a { consistency = c39 }",
        "let a = a\ntrain { steps = a }",
        "let a = b\nlet b = a\ntrain { steps = b }",
        "train { optimizer = " + "adam(lr = " * 60 + "1" + ")" * 60 + " }",
        "mesh { " + "; ".join(f"a{i} = 2" for i in range(300)) + " }",
        "mesh { a = 9223372036854775807; b = 9223372036854775807 }\n"
        "replicas over a { }\nreplicas over b { }\ndata digits { batch = 3 }",
        "replicas over let { }\nreplicas over link { }\nscheme let",
        "{ }",
        "model { { }",
        "scheme",
        "\ufeff# only a comment",
    ],
    ids=lambda text: text[:20],
)
def test_files_made_to_hurt(text: str) -> None:
    assert_judged(text)


@pytest.mark.parametrize(
    "text",
    [
        "train {\n" + "".join(f"  set{i} = 3\n" for i in range(5000)) + "}",
        "".join(f"let unused{i} = 3\n" for i in range(5000)),
        "hardware {\n" + "".join(f"  link a{i} = 1 bit/s\n" for i in range(5000)) + "}",
    ],
    ids=["settings", "constants", "links"],
)
def test_only_so_much_is_reported(text: str) -> None:
    _, found = diagnose(Source("a.diamond", text))
    assert 100 <= len(found) <= 101


def test_pairs_of_phases_are_not_counted_out() -> None:
    phases = "local(every = 2) for 2, then " * 3000 + "synchronous"
    text = "mesh { a = 2; b = 2 }\n"
    text += "".join(f"replicas over {a} {{ consistency = {phases} }}\n" for a in "ab")
    _, found = diagnose(Source("a.diamond", text))
    assert [one.code for one in found] == ["D037", "D037"]
