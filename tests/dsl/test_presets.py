"""Presets: each is legal anywhere, and `include` takes its settings."""

from pathlib import Path

import pytest

from diamond.dsl import presets
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import emit
from diamond.dsl.formatter import format_text
from diamond.dsl.include import preset
from diamond.dsl.legality import legality
from diamond.dsl.load import diagnose, load_text
from diamond.dsl.presets import PRESETS
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import (
    Axis,
    Gossip,
    Int8,
    Local,
    Nesterov,
    Replicas,
    Scheme,
    Synchronous,
)

FOLDER = Path(presets.__file__).parent
NAMES = [one.name for one in PRESETS]
MESH = "mesh { site = 2 }\n"
# What is said of a preset on an axis of any size, with the default optimizer, `adam`.
SAID = {"deep_gradient_compression": ["D069"], "streaming_diloco": ["D063"]}


def included(statements: str, *overrides: str) -> Replicas:
    text = f"{MESH}replicas over site {{ {statements} }}"
    [replicas] = load_text(text, overrides=overrides)[0].replicas
    return replicas


def test_there_is_a_row_for_each_file() -> None:
    files = {path.stem for path in FOLDER.glob("*.diamond")}
    assert files == set(NAMES)
    assert len(NAMES) == len(files) == 12


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_a_preset_is_legal_on_an_axis_of_any_size(name: str, size: int) -> None:
    replicas = preset(name, axis="site")
    scheme = Scheme("a", mesh=(Axis("site", size),), replicas=(replicas,))
    assert [one.code for one in legality(scheme)] == SAID.get(name, [])


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_laid_out_and_says_what_it_is(name: str) -> None:
    text = (FOLDER / f"{name}.diamond").read_text()
    assert format_text(Source(name, text)) == text
    comment = [line for line in text.splitlines() if line.startswith("#")]
    assert len(comment) >= 3
    assert any("arXiv" in line or "20" in line for line in comment)


@pytest.mark.parametrize("name", NAMES)
def test_text_and_python_agree(name: str) -> None:
    assert included(f"include {name}") == preset(name, "site")


def test_settings_replace_whole_clauses_of_a_preset() -> None:
    assert included("include diloco") == Replicas(
        "site", consistency=Local(every=500, outer=Nesterov())
    )
    assert included("include diloco; compression = int8") == Replicas(
        "site",
        consistency=Local(every=500, outer=Nesterov()),
        compression=Int8(),
    )
    assert included("include diloco; consistency = local(every = 9)") == Replicas(
        "site", consistency=Local(every=9)
    )
    assert included("include sgp; consistency = synchronous") == Replicas(
        "site", centralization=Gossip(push_sum=True), consistency=Synchronous()
    )


def test_overrides_reach_into_a_preset() -> None:
    path = "replicas.site.consistency"
    changed = included("include diloco", f"{path}.every=100", f"{path}.outer.lr=0.4")
    assert changed.consistency == Local(every=100, outer=Nesterov(lr=0.4))
    assert included("include diloco", f"{path}=synchronous") == Replicas("site")
    with pytest.raises(SchemeError, match="D028"):
        included("include diloco", f"{path}.every=0")


def test_an_override_of_a_preset_is_found_in_the_override() -> None:
    text = f"{MESH}replicas over site {{ include diloco }}"
    _, found = diagnose(Source("a", text), ["replicas.site.consistency.evry=3"])
    assert found[0].source is not None
    assert found[0].span is not None
    assert found[0].source.text[found[0].span.start : found[0].span.stop] == "evry"


def test_what_a_preset_brings_is_found_at_its_include() -> None:
    text = f"{MESH}replicas over site {{\n  include diloco\n  compression = dgc\n}}"
    _, found = diagnose(Source("a", text))
    label = next(one for one in found if one.code == "D056").labels[0]
    assert text[label.span.start : label.span.stop] == "diloco"


def test_fmt_keeps_an_include_and_emit_spells_it_out() -> None:
    text = "mesh { site = 2 }\n\nreplicas over site {\n  include  easgd # c\n"
    text += "  compression=int8\n}\n"
    laid = "mesh { site = 2 }\n\nreplicas over site {\n  include easgd  # c\n"
    laid += "  compression = int8\n}\n"
    assert format_text(Source("a", text)) == laid
    assert format_text(Source("a", "replicas over a{include sgp;x=1}")) == (
        "replicas over a { include sgp; x = 1 }\n"
    )
    written = emit(load_text(text)[0])
    assert "include" not in written
    assert "consistency = elastic\n" in written


def test_a_preset_of_another_name() -> None:
    with pytest.raises(ValueError, match="no preset `dilco`: did you mean `diloco`"):
        preset("dilco", axis="site")
    with pytest.raises(ValueError, match="no preset `zebra`: there are `ddp`, "):
        preset("zebra", axis="site")
    with pytest.raises(ValueError, match="must be a name of letters"):
        preset("ddp", axis="a b")


@pytest.mark.parametrize("word", ["include", "let", "link"])
def test_words_that_start_statements_name_no_axis(word: str) -> None:
    with pytest.raises(ValueError, match="a word of the language"):
        preset("ddp", axis=word)
