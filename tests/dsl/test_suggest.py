"""Did-you-mean: what is near, what other tools call it, and what is neither."""

import pytest

from diamond.dsl.check_names import built_words
from diamond.dsl.emit import parse_term
from diamond.dsl.recipes import RECIPES, WITH_ARGUMENTS
from diamond.dsl.suggest import OTHER_WORDS, did_you_mean, listed, nearest
from diamond.dsl.vocabulary import FAMILIES
from diamond.dsl.vocabulary.blocks import BLOCKS
from diamond.dsl.vocabulary.fields import fields_of
from diamond.dsl.vocabulary.optimizers import OPTIMIZERS, SCHEDULES


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("evry", "every"),
        ("Every", "every"),
        ("outter", "outer"),
        ("interval", "every"),
        ("zebra", None),
        ("x" * 10**6, None),
    ],
)
def test_nearest(word: str, meant: str | None) -> None:
    assert nearest(word, ["every", "outer", "state"]) == meant


def test_help_line() -> None:
    assert did_you_mean("adamww", ["adam", "adamw"]) == "did you mean `adamw`?"
    assert did_you_mean("adamw", []) is None


def test_lists() -> None:
    assert listed([]) == ""
    assert listed(["a"]) == "`a`"
    assert listed(["a", "b", "c"]) == "`a`, `b` or `c`"


def test_every_other_word_leads_to_a_word_of_the_language() -> None:
    words = {form.word for form in BLOCKS}
    for rows in FAMILIES.values():
        words |= {row.name for row in rows}
        fields = [field for row in rows for field in fields_of(row.term)]
        words |= {name for field in fields for name in field.meaning.choices}
        words |= {field.name for field in fields}
    for form in BLOCKS:
        fields = list(fields_of(form.term)) if form.term else []
        words |= {field.name for field in fields}
        words |= {name for field in fields for name in field.meaning.choices}
    for signature in (*OPTIMIZERS, *SCHEDULES):
        words |= {signature.name, *(p.alias or p.name for p in signature.parameters)}
    assert set(OTHER_WORDS.values()) <= words


@pytest.mark.parametrize(("family", "word"), RECIPES)
def test_every_recipe_can_be_written(family: str, word: str) -> None:
    assert word not in built_words(family)
    assert parse_term(family, RECIPES[family, word])


@pytest.mark.parametrize(("family", "word"), WITH_ARGUMENTS)
def test_every_recipe_with_arguments_can_be_written(family: str, word: str) -> None:
    assert parse_term(family, WITH_ARGUMENTS[family, word])
