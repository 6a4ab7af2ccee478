"""Mark loose: an axis is loose if its copies may differ between steps."""

from dataclasses import replace

from diamond.compiler.plan import Plan, is_tight
from diamond.dsl import vocabulary as words


def mark_loose(plan: Plan) -> Plan:
    """Marks each axis that has an agreement under which copies may differ, or none."""
    loose = {each.axis for each in plan.agreements if not is_tight(each)}
    loose |= {a.name for a in plan.axes if isinstance(a.strategy, words.Ensemble)}
    axes = tuple(replace(axis, loose=axis.name in loose) for axis in plan.axes)
    return replace(plan, axes=axes)
