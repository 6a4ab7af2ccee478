"""Mark loose: an axis is loose if its copies may differ between steps."""

from dataclasses import replace

from diamond.compiler.plan import Plan, is_tight


def mark_loose(plan: Plan) -> Plan:
    """Marks each axis that has an agreement under which copies may differ."""
    loose = {each.axis for each in plan.agreements if not is_tight(each)}
    axes = tuple(replace(axis, loose=axis.name in loose) for axis in plan.axes)
    return replace(plan, axes=axes)
