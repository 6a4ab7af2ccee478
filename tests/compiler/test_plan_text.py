"""A plan prints to stable text and JSON, and reads back equal."""

import json
from dataclasses import replace

import pytest

from diamond.compiler.plan_json import plan_from_data, plan_to_data
from diamond.compiler.plan_text import print_plan, read_plan
from diamond.dsl.vocabulary import Gossip, NoCompression, Synchronous
from tests.compiler.programs import program_of, scheme_over
from tests.schemes import catalogue

PLANS = [program_of(scheme).plan for scheme in catalogue()]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_text_reads_back(plan) -> None:
    assert read_plan(print_plan(plan)) == plan


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_json_reads_back(plan) -> None:
    assert plan_from_data(json.loads(json.dumps(plan_to_data(plan)))) == plan


def test_the_seed_and_who_sends_to_whom_read_back() -> None:
    gossip = Gossip("exponential")
    scheme = scheme_over((4, Synchronous(), NoCompression(), gossip))
    plan = program_of(replace(scheme, train=replace(scheme.train, seed=7))).plan
    text = print_plan(plan)
    assert "seed=7" in text
    assert "pairs=[[0, 2], [1, 3], [2, 0], [3, 1]]" in text
    assert read_plan(text) == plan
    assert plan_from_data(json.loads(json.dumps(plan_to_data(plan)))) == plan


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('axis name="a"', "line 1: `axis` cannot stand here"),
        ("plan name=", "line 1: `name` has no value"),
        ("plan nonsense=1", "no field nonsense"),
        ('plan name="a"', "not a plan"),
        ('plan name="a"\n      message elements=1', "line 2"),
    ],
)
def test_what_is_no_plan_is_refused(text, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_plan(text)
