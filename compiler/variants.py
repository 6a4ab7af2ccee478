"""Which programs a plan needs: one for each set of exchanges that meet in a step."""

from diamond.compiler.plan import Plan

Due = frozenset[tuple[str, int]]


def due_at(plan: Plan, step: int) -> Due:
    """Returns names and turns of the exchanges that happen at a step.

    Example:
        >>> due_at(Plan("tiny", 10, 8, "fp32", "sgd()"), 0)
        frozenset()
    """
    turns = ((each.name, each.turn_at(step)) for each in plan.exchanges)
    return frozenset((name, turn) for name, turn in turns if turn is not None)


def variants_of(plan: Plan) -> tuple[Due, ...]:
    """Returns each set of exchanges that meet at some step, in order of first need."""
    return tuple(dict.fromkeys(due_at(plan, step) for step in range(plan.steps)))


def begun_at(plan: Plan, step: int) -> frozenset[str]:
    """Returns the exchanges whose agreements begin at a step other than the first."""
    if step == 0:
        return frozenset()
    return frozenset(
        each.name for each in plan.exchanges if each.agreement.start == step
    )
