"""Place exchanges: put each agreement at its place in the step, with a name."""

from collections import Counter
from dataclasses import replace

from diamond.compiler.agreements import rule_at
from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.fragments import fragments_of
from diamond.compiler.plan import Agreement, Exchange, Plan
from diamond.dsl import vocabulary as words


def place_exchanges(plan: Plan) -> Plan:
    """Orders exchanges: gradients inside out, then parameters inside out."""
    depth = {axis.name: index for index, axis in enumerate(plan.axes)}
    placed = [each for agreement in plan.agreements for each in _place(plan, agreement)]
    placed.sort(
        key=lambda each: (
            each.subject == "parameters",
            -depth[each.agreement.axis],
            each.agreement.start,
        )
    )
    return replace(plan, exchanges=_named(placed))


def _place(plan: Plan, agreement: Agreement) -> list[Exchange]:
    """Returns the exchanges of an agreement: one a fragment of the model."""
    wire = Tape().wire(agreement.axis, plan.axis(agreement.axis).size)
    rule = rule_at(plan, agreement, Site(wire, plan.local_tensors))
    term = agreement.consistency
    parts = term.fragments if isinstance(term, words.Local) else 1
    return [
        Exchange(
            name=f"{agreement.axis}.{rule.subject}",
            subject=rule.subject,
            every=rule.every,
            offset=(number + 1) * rule.every // parts - 1,
            agreement=agreement,
            fragment=number,
            leaves=leaves,
            late=rule.late,
        )
        for number, leaves in enumerate(fragments_of(plan.tensors, parts))
    ]


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
