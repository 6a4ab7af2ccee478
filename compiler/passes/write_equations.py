"""Write equations: the step of this scheme in symbols."""

from dataclasses import replace

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.plan import Plan


def write_equations(plan: Plan) -> Plan:
    """Writes gradient, exchanges, optimizer and exchanges in the step's order."""
    parts = parts_of(plan, Tape().wire)
    lines = [f"g = gradient of the mean loss at x over {_share(plan)}"]
    for part in parts:
        if part.exchange.subject == "gradients":
            lines += _exchange(part)
    lines.append(f"x <- {plan.optimizer} on g")
    for part in parts:
        if part.exchange.subject == "parameters":
            lines += _exchange(part)
    return replace(plan, equations=tuple(lines))


def _share(plan: Plan) -> str:
    each = plan.batch // plan.members
    return f"{each} of {plan.batch} examples"


def _exchange(part: Part) -> list[str]:
    lines = [f"{part.exchange.name}, {_when(part)}:"]
    for equation in part.rule.equations:
        left, mean, right = equation.partition("mean[")
        if not mean:
            lines.append(f"  {equation}")
            continue
        inner = right.removesuffix("]")
        symbol = left.replace("<-", "").replace("=", "").strip()
        argument = inner if len(inner) == 1 else f"({inner})"
        for line in part.mixer.equations:
            text = line.replace("{y} =", left.rstrip()).replace("{x}", argument)
            lines.append("  " + text.replace("{y}", symbol))
    return lines + _kept(part)


def _kept(part: Part) -> list[str]:
    """Says what becomes of the optimizer's state where copies meet."""
    how = {"average": "its mean over", "reset": "begun afresh on"}
    keeping = part.rule.keeping
    if keeping == "keep":
        return []
    return [f"  optimizer's state <- {how[keeping]} {part.exchange.agreement.axis}"]


def _when(part: Part) -> str:
    agreement = part.exchange.agreement
    text = "every step"
    if part.exchange.every > 1:
        text = f"every {part.exchange.every} steps"
    if agreement.start:
        text += f" from step {agreement.start}"
    if agreement.stop is not None:
        text += f" until step {agreement.stop}"
    return text
