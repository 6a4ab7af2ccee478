"""Names of dims: what a tensor axis cuts of a model of the caller's own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from diamond.dsl.checker import placed, places_of
from diamond.dsl.emit import emit
from diamond.dsl.formatter import format_text
from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.names import Named, of_parameters
from diamond.dsl.load import diagnose
from diamond.dsl.parser import parse
from diamond.dsl.render import render_all
from diamond.dsl.source import Source
from diamond.dsl.vocabulary import Scheme, Shard

BROKEN = Path(__file__).parent.parent.parent / "broken"
TEXT = """\
mesh { site = 2; chip = 4 }

parallelism {
  tensor over chip
  shard "up/kernel"   (embed, mlp)
  shard "*/kernel"    (mlp, embed)
  shard "down/kernel" (mlp, embed)
  shard "*/wieght"    (embed, mlp)
  shard "*/bias"      (embed, mlp)
}

replicas over site { }
"""
MODEL = (
    Named("down/bias", (8,)),
    Named("down/kernel", (6, 8)),
    Named("embed/table", (16, 8), ("vocab", "width")),
    Named("head/kernel3", (2, 4, 8), ("heads", "none", "vocab")),
    Named("up/kernel", (8, 6)),
)


def scheme_of(text: str) -> Scheme:
    scheme, found = diagnose(Source("own.diamond", text))
    assert scheme is not None, found
    return scheme


def found_in(text: str, *tensors: Named) -> list[Finding]:
    return list(of_parameters(scheme_of(text), tensors))


def laid(*rules: str) -> str:
    body = "; ".join(["tensor over chip", *rules])
    return f"mesh {{ chip = 4 }}; parallelism {{ {body} }}"


def test_what_does_not_fit_a_model_is_shown_in_its_place(
    golden: Callable[[Path, str], None],
) -> None:
    source = Source("own.diamond", TEXT)
    file, _ = parse(source)
    assert file is not None
    places = places_of(file)
    found = [placed(each, places) for each in found_in(TEXT, *MODEL)]
    golden(BROKEN / "made_names.txt", render_all(tuple(found), source) + "\n")


def test_the_first_rule_goes_before_others_and_before_the_module() -> None:
    own = Named("up/kernel", (8, 6), ("embed", "width"))
    assert found_in(laid('shard "up/*" (_, _)'), own) == []
    narrow, wide = 'shard "up/*" (mlp, _)', 'shard "*" (_, mlp)'
    other = Named("down/kernel", (6, 8))
    assert found_in(laid(narrow, wide), own, other) == []
    codes = [each.code for each in found_in(laid(wide, narrow), own, other)]
    assert codes == ["D107", "D109"]


def test_a_model_without_names_is_cut_nowhere() -> None:
    [finding] = found_in(laid(), Named("up/kernel", (8, 8)))
    assert (finding.code, finding.path) == ("D107", ("parallelism", "chip"))
    assert found_in(laid(), Named("up/kernel", (8, 8), ("embed", "mlp"))) == []


def test_nothing_is_asked_of_names_where_no_axis_cuts_layers() -> None:
    assert found_in("mesh { a = 2 }; replicas over a { }", *MODEL) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('mesh { a = 1 }; parallelism { zero over a; shard "x" (mlp) }', "no axis"),
        ("model mlp { }; " + laid('shard "x" (mlp)'), "on `mlp`"),
    ],
)
def test_a_rule_without_effect_is_a_warning(text: str, what: str) -> None:
    _, found = diagnose(Source("own.diamond", text))
    [warning] = [one for one in found if one.code == "D066"]
    assert what in warning.message


def test_rules_are_written_as_they_are_read() -> None:
    source = Source("own.diamond", "scheme own\n\n" + TEXT)
    scheme = scheme_of(source.text)
    assert scheme.shards[0] == Shard("up/kernel", ("embed", "mlp"))
    assert format_text(source) == source.text
    assert scheme_of(emit(scheme)) == scheme


def test_shard_is_a_name_elsewhere() -> None:
    text = "let shard = 2; mesh { shard = shard }; replicas over shard { }"
    assert scheme_of(text).mesh[0].name == "shard"


def test_a_rule_names_a_dim_at_least() -> None:
    with pytest.raises(ValueError, match="a dim at least"):
        Shard("x", ())
