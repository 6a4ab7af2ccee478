"""From a plan's exchanges to the rules and mixers that carry them out."""

from typing import NamedTuple

from diamond.compiler.exchange.contract import Mixer, Rule
from diamond.compiler.exchange.tables import codec_of, mixer_of, rule_of
from diamond.compiler.plan import Agreement, Exchange, Plan


class Part(NamedTuple):
    """What carries an exchange out, and where its state is kept.

    Attributes:
        exchange: The exchange.
        rule: Its rule.
        mixer: Its mixer.
        clause: Key of the rule's state; exchanges of one clause share it.
    """

    exchange: Exchange
    rule: Rule
    mixer: Mixer
    clause: str


def parts_of(plan: Plan) -> tuple[Part, ...]:
    """Builds the rule and the mixer of each exchange, in the plan's order."""
    return tuple(_part(plan, exchange) for exchange in plan.exchanges)


def clause_key(agreement: Agreement) -> str:
    """Names a consistency clause of an axis."""
    return f"{agreement.axis}.{agreement.clause}"


def _part(plan: Plan, exchange: Exchange) -> Part:
    agreement = exchange.agreement
    codec = codec_of(agreement.compression)
    mixer = mixer_of(
        agreement.centralization,
        axis=agreement.axis,
        size=plan.axis(agreement.axis).size,
        codec=codec,
        route=exchange.route,
    )
    rule = rule_of(
        agreement.consistency,
        is_exact=codec.is_exact,
        has_anchor=not _are_exact(plan, agreement),
    )
    return Part(exchange, rule, mixer, clause_key(agreement))


def _are_exact(plan: Plan, agreement: Agreement) -> bool:
    """Whether every mean of a clause is exact: its agreements share the state."""
    key = clause_key(agreement)
    mates = [each for each in plan.agreements if clause_key(each) == key]
    return all(codec_of(each.compression).is_exact for each in mates)
