"""The pipeline: every pass in order, with the verifier after each."""

from collections.abc import Callable

from diamond.compiler.passes.begin import Shapes, begin
from diamond.compiler.passes.bill_memory import bill_memory
from diamond.compiler.passes.mark_loose import mark_loose
from diamond.compiler.passes.place_exchanges import place_exchanges
from diamond.compiler.passes.route_exchanges import route_exchanges
from diamond.compiler.passes.write_equations import write_equations
from diamond.compiler.plan import Plan
from diamond.compiler.verify import verify
from diamond.dsl.vocabulary import Scheme

PASSES: tuple[Callable[[Plan], Plan], ...] = (
    mark_loose,
    place_exchanges,
    route_exchanges,
    bill_memory,
    write_equations,
)


def make_plan(scheme: Scheme, shapes: Shapes) -> Plan:
    """Runs every pass over a scheme.

    Raises:
        PlanError: If a pass broke the plan.
    """
    plan = begin(scheme, shapes)
    verify(plan, after="begin")
    for step in PASSES:
        plan = step(plan)
        verify(plan, after=step.__name__)
    return plan
