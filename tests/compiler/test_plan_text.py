"""A plan prints to stable text and JSON, and reads back equal."""

import json

import pytest

from diamond.compiler.plan_json import plan_from_data, plan_to_data
from diamond.compiler.plan_text import print_plan, read_plan
from tests.compiler.programs import program_of
from tests.schemes import catalogue

PLANS = [program_of(scheme).plan for scheme in catalogue()]


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_text_reads_back(plan) -> None:
    assert read_plan(print_plan(plan)) == plan


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_json_reads_back(plan) -> None:
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
