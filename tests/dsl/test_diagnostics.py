"""A refusal as text: what a traceback of Python shows."""

import pickle

import pytest

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.load import load_text, verify_scheme
from diamond.dsl.vocabulary import Axis, Scheme

TEXT = """\
let unused = 1
mesh { site = 0 }
train { seed = x; steps = 3 }
"""


def refused(overrides: tuple[str, ...] = ()) -> SchemeError:
    with pytest.raises(SchemeError) as refusal:
        load_text(TEXT, "bad.diamond", overrides)
    return refusal.value


def test_each_error_has_a_line_and_warnings_have_none() -> None:
    assert str(refused()).splitlines() == [
        "bad.diamond:2:15: D028 the size of axis `site` must be at least 1, not 0",
        "bad.diamond:3:16: D031 `seed` of `train` cannot be `x`: there is no constant "
        "of this name",
    ]


def test_an_override_is_named() -> None:
    first, *others = str(refused(("train.seed=1", "train.steps=0"))).splitlines()
    assert first.startswith("bad.diamond:2:15: D028 ")
    assert others == [
        "--set train.steps=0: D028 `steps` of `train` must be at least 1, not 0"
    ]


def test_a_scheme_of_python_has_no_places() -> None:
    with pytest.raises(SchemeError) as refusal:
        verify_scheme(Scheme("a", mesh=(Axis("site", 2),)))
    assert str(refusal.value) == "D042 axis `site` of size 2 has no role"


def test_a_refusal_can_be_sent_to_another_process() -> None:
    sent = pickle.loads(pickle.dumps(refused()))
    assert str(sent) == str(refused())
