"""The verifier: what holds of every plan, checked after each pass."""

from diamond.compiler.plan import Plan
from diamond.compiler.plan_text import print_plan


class PlanError(Exception):
    """A pass broke a plan: a fault of the compiler, not of the scheme."""


def verify(plan: Plan, *, after: str) -> None:
    """Checks a plan.

    Args:
        plan: The plan.
        after: Name of the pass that made it.

    Raises:
        PlanError: With what is wrong and the plan's text.
    """
    problem = next(filter(None, (check(plan) for check in _CHECKS)), None)
    if problem:
        raise PlanError(f"after {after}: {problem}\n\n{print_plan(plan)}")


def _axes_are_distinct(plan: Plan) -> str | None:
    names = [axis.name for axis in plan.axes]
    return None if len(set(names)) == len(names) else f"axes repeat in {names}"


def _agreements_name_axes(plan: Plan) -> str | None:
    names = {axis.name for axis in plan.axes}
    strangers = [each.axis for each in plan.agreements if each.axis not in names]
    return f"agreements over unknown axes {strangers}" if strangers else None


def _agreements_tile_time(plan: Plan) -> str | None:
    for axis in {each.axis for each in plan.agreements}:
        mine = [each for each in plan.agreements if each.axis == axis]
        stops = [0, *(each.stop for each in mine)]
        starts = [*(each.start for each in mine), None]
        if stops != starts:
            return f"agreements over {axis} leave steps out: {starts} against {stops}"
    return None


def _batch_divides(plan: Plan) -> str | None:
    if plan.batch % plan.shares:
        return f"a batch of {plan.batch} does not divide by {plan.shares} shares"
    return None


def _exchanges_carry_agreements(plan: Plan) -> str | None:
    if not plan.exchanges:
        return None
    known = {(e.agreement.axis, e.agreement.start) for e in plan.exchanges}
    missing = [a for a in plan.agreements if (a.axis, a.start) not in known]
    return f"no exchange carries {missing}" if missing else None


def _exchanges_are_ordered(plan: Plan) -> str | None:
    depth = {axis.name: index for index, axis in enumerate(plan.axes)}
    keys = [(e.subject, -depth[e.agreement.axis]) for e in plan.exchanges]
    return None if keys == sorted(keys) else "exchanges are not inside out"


def _names_are_unique(plan: Plan) -> str | None:
    names = [each.name for each in plan.exchanges]
    return None if len(set(names)) == len(names) else f"names repeat in {names}"


_CHECKS = (
    _axes_are_distinct,
    _agreements_name_axes,
    _agreements_tile_time,
    _batch_divides,
    _exchanges_carry_agreements,
    _exchanges_are_ordered,
    _names_are_unique,
)
