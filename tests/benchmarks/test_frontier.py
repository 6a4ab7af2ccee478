"""The frontier's contenders train the same model on the same batches."""

import re

import jax
import numpy as np
import pytest

from benchmarks.frontier.contest import SCHEMES, open_contest

NAMES = sorted(path.stem for path in SCHEMES.glob("*.diamond"))
SMALL = ("model.layers=2", "model.width=32", "model.context=16")
# Rates are fp32 on the one side, so that fp64 agrees to the rates' rounding.
TOLERANCES = {"fp32": 1e-5, "fp64": 1e-7}


def _without_choices(name):
    text = (SCHEMES / f"{name}.diamond").read_text()
    found = re.search(r"^model .*(?=^replicas)", text, re.DOTALL | re.MULTILINE)
    return re.sub(r"steps     = \d_\d+", "", found.group())


@pytest.mark.parametrize("name", NAMES)
def test_the_schemes_differ_in_their_choices_alone(name):
    assert _without_choices(name) == _without_choices("ddp")


def test_the_model_has_about_five_million_parameters():
    counts = [value.size for value in _leaves(open_contest().initial())]
    assert 4.5e6 < sum(counts) < 5.5e6


def _leaves(tree):
    if isinstance(tree, dict):
        for value in tree.values():
            yield from _leaves(value)
    else:
        yield tree


def test_the_rates_are_those_of_the_scheme():
    settings = open_contest("ddp", ["train.steps=200"]).adamw()
    assert len(settings.rates) == 200
    assert settings.rates[0] == 0 and max(settings.rates) == pytest.approx(1e-3)
    assert int(np.argmax(settings.rates)) == 100
    assert settings.weight_decay == 0.1


@pytest.mark.parametrize("precision", TOLERANCES)
def test_pytorch_trains_as_diamond_does(precision):
    pytest.importorskip("torch")
    from benchmarks.frontier.same_model import compare

    with jax.enable_x64(precision == "fp64"):
        losses = compare(precision, SMALL)
    assert max(losses.apart) < TOLERANCES[precision]
    assert losses.torch[-1] < losses.torch[0]


def test_another_model_than_the_scheme_s_is_refused():
    pytest.importorskip("torch")
    from benchmarks.frontier.torch_model import Model

    for other in ("mlp=swiglu", "norm=layernorm", "positions=learned", "kv_heads=2"):
        term = open_contest("ddp", [f"model.{other}"]).model
        with pytest.raises(ValueError, match="not the one of the scheme"):
            Model(term, 256)
