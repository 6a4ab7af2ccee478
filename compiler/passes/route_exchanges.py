"""Route exchanges: choose how each mean travels, and list its messages."""

from dataclasses import replace

from diamond.compiler.exchange.tables import codec_of, way_of
from diamond.compiler.plan import Exchange, Plan


def route_exchanges(plan: Plan) -> Plan:
    """Gives each exchange its route, the reason, and its messages."""
    return replace(plan, exchanges=tuple(_route(plan, e) for e in plan.exchanges))


def _route(plan: Plan, exchange: Exchange) -> Exchange:
    agreement = exchange.agreement
    way = way_of(
        agreement.centralization,
        size=plan.axis(agreement.axis).size,
        codec=codec_of(agreement.compression),
        shapes=tuple(tensor.shape for tensor in plan.tensors),
        dtype="f64" if plan.precision == "fp64" else "f32",
    )
    return replace(exchange, route=way.route, reason=way.reason, messages=way.messages)
