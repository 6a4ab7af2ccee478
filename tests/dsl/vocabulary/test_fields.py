"""Terms that are built in Python check themselves."""

import math
from typing import Any

import pytest

from diamond.dsl.vocabulary import (
    AUTO,
    FAMILIES,
    Arrays,
    Axis,
    Call,
    Cast,
    Dgc,
    Digits,
    Int4,
    Int8,
    Link,
    Local,
    Mlp,
    Nesterov,
    Qsgd,
    RandomK,
    Replicas,
    Scheduled,
    Scheme,
    Sign,
    Synchronous,
    TopK,
    Train,
    phases_of,
    word_of,
)
from diamond.dsl.vocabulary.fields import fields_of


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Local(every="x"), "`every` of `Local` must be int, not str"),
        (lambda: Local(every=True), "`every` of `Local` must be int, not bool"),
        (lambda: Local(every=2.0), "`every` of `Local` must be int, not float"),
        (lambda: Local(every=1, outer=3), "must be Average or Nesterov or SlowMo"),
        (lambda: Int8(feedback=1), "`feedback` of `Int8` must be bool, not int"),
        (lambda: Train(evaluate="x"), "must be int or None, not str"),
        (lambda: Train(optimizer="adam"), "must be Call, not str"),
        (lambda: Replicas("a", compression=Local(every=1)), "not Local"),
        (lambda: Replicas("a", compression=None), "not NoneType"),
        (lambda: Call("adam", (("lr", None),)), "`lr` of `adam` must be a number"),
        (lambda: Int8(exclude=["a"]), "tuple of str, not list: write `exclude=('a',)`"),
        (lambda: Int8(exclude="a"), "tuple of str, not str: write `exclude=('a',)`"),
        (
            lambda: Local(1, Nesterov),
            "not the class Nesterov: call it, `Nesterov(...)`",
        ),
        (lambda: Local(1, Int8), "or Bmuf, not the class Int8"),
        (lambda: Int8(exclude=("a", 1)), "must be a tuple of str, not tuple"),
        (lambda: Scheme("a", mesh=[Axis("b", 1)]), "must be a tuple of Axis"),
        (lambda: Scheme("a", model=Digits()), "must be a model"),
    ],
)
def test_wrong_types(make: Any, message: str) -> None:
    with pytest.raises(TypeError) as error:
        make()
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Local(every=0), "`every` of `Local` must be at least 1, not 0"),
        (lambda: Nesterov(momentum=1.5), "must be at most 1, not 1.5"),
        (lambda: Nesterov(lr=math.nan), "must be a finite number, not nan"),
        (lambda: Local(every=10**30), "must fit in 64 bits"),
        (lambda: Cast("bf15"), "must be one of bf16, fp16"),
        (lambda: Axis("a b", 1), "must be a name of letters"),
        (lambda: Axis("link", 1), "cannot be `link`, which is a word of the language"),
        (lambda: Arrays(file='a"b'), "must have no quotes"),
        (lambda: Arrays(file="a\nb"), "must have no quotes, line breaks"),
        (lambda: Int8(exclude=("a", 'b"')), "`exclude` of `Int8` must have no quotes"),
        (lambda: Qsgd(bits=3), "`bits` of `Qsgd` must be 2, 4 or 8, not 3"),
        (lambda: Int4(block=3), "`block` of `Int4` must be a multiple of 2, not 3"),
        (lambda: Int4(block=0), "`block` of `Int4` must be at least 2, not 0"),
        (lambda: Sign(block=12), "must be a multiple of 8, not 12"),
        (lambda: TopK(density=0.0), "must be more than 0, not 0"),
        (lambda: RandomK(density=1.5), "must be at most 1, not 1.5"),
        (lambda: Dgc(density=0.0), "must be more than 0, not 0"),
        (lambda: Link("a", 0.0), "must be at least 1, not 0"),
        (lambda: Scheme("a b"), "`name` of a scheme must be a name of letters"),
        (lambda: Scheduled(((Synchronous(), 3),)), "two phases or more"),
        (lambda: Scheduled(((1, 0), (2, None))), "must last 1 step or more"),
    ],
)
def test_wrong_values(make: Any, message: str) -> None:
    with pytest.raises(ValueError) as error:
        make()
    assert message in str(error.value)


def test_whole_numbers_pass_for_fractions() -> None:
    assert Nesterov(lr=1) == Nesterov(lr=1.0)


def test_clauses_take_auto_and_schedules() -> None:
    rule = Scheduled(((Synchronous(), 5), (Local(every=3), None)))
    assert Replicas("a", consistency=rule, compression=AUTO).consistency == rule
    assert [(p.start, p.stop) for p in phases_of(rule)] == [(0, 5), (5, None)]


def test_short_names_of_arguments_become_full() -> None:
    assert Call("adam", (("lr", 0.1),)) == Call("adam", (("learning_rate", 0.1),))
    assert Call("unknown", (("lr", 0.1),)).arguments == (("lr", 0.1),)


@pytest.mark.parametrize("family", FAMILIES)
def test_words_of_a_family_differ_and_are_documented(family: str) -> None:
    rows = FAMILIES[family]
    assert len({row.name for row in rows}) == len(rows)
    for row in rows:
        assert row.term.__doc__
        assert all(field.meaning.doc for field in fields_of(row.term))


def test_the_word_of_a_term() -> None:
    assert word_of(Mlp()) == "mlp"
    with pytest.raises(ValueError, match="Axis is not a term"):
        word_of(Axis("a", 1))
