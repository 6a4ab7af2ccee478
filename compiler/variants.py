"""Which programs a plan needs: one for each set of exchanges that meet in a step."""

from diamond.compiler.agreements import clause_key
from diamond.compiler.plan import Plan

Due = frozenset[str]


def due_at(plan: Plan, step: int) -> Due:
    """Returns the names of the exchanges that happen at a step.

    Example:
        >>> due_at(Plan("tiny", 10, 8, "fp32", "sgd()"), 0)
        frozenset()
    """
    return frozenset(exchange.name for exchange in plan.due(step))


def variants_of(plan: Plan) -> tuple[Due, ...]:
    """Returns each set of exchanges that meet at some step, in order of first need."""
    return tuple(dict.fromkeys(due_at(plan, step) for step in range(plan.steps)))


def clauses_begun(plan: Plan, step: int) -> frozenset[str]:
    """Returns the consistency clauses that begin at a step other than the first."""
    if step == 0:
        return frozenset()
    return frozenset(
        clause_key(each)
        for each in plan.agreements
        if each.clause_start == each.start == step
    )
