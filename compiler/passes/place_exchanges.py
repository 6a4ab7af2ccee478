"""Place exchanges: put each agreement at its place in the step, with a name."""

from collections import Counter
from dataclasses import replace

from diamond.compiler.exchange.tables import rule_of
from diamond.compiler.plan import Agreement, Exchange, Plan


def place_exchanges(plan: Plan) -> Plan:
    """Orders exchanges: gradients inside out, then parameters inside out."""
    depth = {axis.name: index for index, axis in enumerate(plan.axes)}
    placed = [_place(agreement) for agreement in plan.agreements]
    placed.sort(
        key=lambda each: (
            each.subject == "parameters",
            -depth[each.agreement.axis],
            each.agreement.start,
        )
    )
    return replace(plan, exchanges=_named(placed))


def _place(agreement: Agreement) -> Exchange:
    rule = rule_of(agreement.consistency, is_exact=True)
    name = f"{agreement.axis}.{rule.subject}"
    return Exchange(name, rule.subject, rule.every, agreement)


def _named(exchanges: list[Exchange]) -> tuple[Exchange, ...]:
    """Numbers the exchanges that would share a name."""
    total = Counter(each.name for each in exchanges)
    seen: Counter[str] = Counter()
    named = []
    for each in exchanges:
        seen[each.name] += 1
        number = f".{seen[each.name]}" if total[each.name] > 1 else ""
        named.append(replace(each, name=each.name + number))
    return tuple(named)
