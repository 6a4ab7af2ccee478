"""From a plan's exchanges to the rules and mixers that carry them out."""

from collections.abc import Sequence
from typing import NamedTuple

from diamond.compiler.exchange.contract import Mixer, Rule
from diamond.compiler.exchange.site import Moments, Site
from diamond.compiler.exchange.tables import is_exact, mixer_of, rule_of
from diamond.compiler.exchange.wire import Wire, WireOf, mesh_wire
from diamond.compiler.plan import Agreement, Exchange, Plan
from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import parse_term

ADAM = {"adam", "adamw"}


class Part(NamedTuple):
    """What carries an exchange out, and where its state is kept.

    Attributes:
        exchange: The exchange.
        rule: Its rule.
        mixer: Its mixer.
        wire: The axis.
        clause: Key of the rule's state; exchanges of one clause share it.
        memory: Key of the mixer's state; stages of one codec share it.
    """

    exchange: Exchange
    rule: Rule
    mixer: Mixer
    wire: Wire
    clause: str
    memory: str


Active = Sequence[tuple[Part, int]]
"""Exchanges that are due, with their turns, in the plan's order."""


def parts_of(plan: Plan, wire_of: WireOf = mesh_wire) -> tuple[Part, ...]:
    """Builds the rule and the mixer of each exchange, in the plan's order."""
    return tuple(part_of(plan, exchange, wire_of) for exchange in plan.exchanges)


def part_of(plan: Plan, exchange: Exchange, wire_of: WireOf = mesh_wire) -> Part:
    """Builds the rule and the mixer of an exchange."""
    agreement = exchange.agreement
    site = Site(
        wire=_wire(plan, agreement.axis, wire_of),
        tensors=tuple(plan.local_tensors[place] for place in exchange.leaves),
        adam=adam_of(plan.optimizer),
        forms=tuple(
            each.compression for each in plan.agreements if each.axis == agreement.axis
        ),
    )
    fragment = f".{exchange.fragment}" if exchange.fragment else ""
    return Part(
        exchange=exchange,
        rule=rule_at(plan, agreement, site),
        mixer=mixer_of(agreement.centralization, agreement.compression, site),
        wire=site.wire,
        clause=clause_key(agreement) + fragment,
        memory=f"{agreement.axis}.{exchange.subject}.{agreement.residual}{fragment}",
    )


def _wire(plan: Plan, name: str, wire_of: WireOf) -> Wire:
    sizes = [(axis.name, axis.size) for axis in plan.axes]
    outer = tuple(sizes[: [axis for axis, _ in sizes].index(name)])
    return wire_of(name, plan.axis(name).size, outer)._replace(seed=plan.seed)


def rule_at(plan: Plan, agreement: Agreement, site: Site) -> Rule:
    """Builds the rule of an agreement."""
    return rule_of(
        agreement.consistency,
        agreement.centralization,
        site,
        is_exact=is_exact(agreement.compression, agreement.centralization),
        has_anchor=not _are_exact(plan, agreement),
    )


def clause_key(agreement: Agreement) -> str:
    """Names a consistency clause of an axis."""
    return f"{agreement.axis}.{agreement.clause}"


def adam_of(optimizer: str) -> Moments | None:
    """Returns the constants of an optimizer that is Adam, from how it is written.

    Example:
        >>> adam_of("adamw(learning_rate = 0.001, b1 = 0.8)")
        Moments(b1=0.8, b2=0.999)
    """
    try:
        call = parse_term("optimizer", optimizer)
    except SchemeError:
        return None
    if call.name not in ADAM:
        return None
    given = dict(call.arguments)
    return Moments(float(given.get("b1", 0.9)), float(given.get("b2", 0.999)))


def _are_exact(plan: Plan, agreement: Agreement) -> bool:
    """Whether every mean of a clause is exact: its agreements share the state."""
    key = clause_key(agreement)
    mates = [each for each in plan.agreements if clause_key(each) == key]
    return all(is_exact(each.compression, each.centralization) for each in mates)
