"""A plan as plain data and back: dicts, lists, strings and numbers."""

import dataclasses
import typing
from typing import Any

from diamond.compiler.plan import Agreement, Exchange, Plan
from diamond.dsl.emit import format_term, parse_term

_FAMILIES = ("centralization", "consistency", "compression", "strategy")


def plan_to_data(plan: Plan) -> dict[str, Any]:
    """Returns a plan as plain data, ready for `json.dumps`.

    Terms of the language are written as the language writes them; an exchange names
    its agreement by its index.
    """
    data = _to_data(plan)
    for exchange, written in zip(plan.exchanges, data["exchanges"], strict=True):
        written["agreement"] = plan.agreements.index(exchange.agreement)
    return typing.cast(dict[str, Any], data)


def plan_from_data(data: dict[str, Any]) -> Plan:
    """Reads a plan back from `plan_to_data`'s data.

    Raises:
        ValueError: If a field is missing, unknown or of the wrong kind.
    """
    try:
        agreements = tuple(_node(Agreement, each) for each in data["agreements"])
        exchanges = tuple(
            _node(Exchange, {**each, "agreement": agreements[each["agreement"]]})
            for each in data["exchanges"]
        )
        rest = {**data, "agreements": agreements, "exchanges": exchanges}
        return typing.cast(Plan, _node(Plan, rest))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"not a plan: {error}") from error


def _to_data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_to_data(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    return {
        name: format_term(item) if name in _FAMILIES and item else _to_data(item)
        for name, item in fields.items()
    }


def _node(kind: type, data: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    unknown = set(data) - set(hints)
    if unknown:
        raise ValueError(f"{kind.__name__} has no field {sorted(unknown)[0]}")
    return kind(**{name: _value(name, hints[name], v) for name, v in data.items()})


def _value(name: str, hint: Any, value: Any) -> Any:
    if name in _FAMILIES:
        return value and parse_term(name, value)
    if typing.get_origin(hint) is not tuple:
        return value
    kind: Any = typing.get_args(hint)[0]
    is_node = dataclasses.is_dataclass(kind)
    if is_node:
        return tuple(
            _node(kind, each) if isinstance(each, dict) else each for each in value
        )
    return tuple(tuple(each) if isinstance(each, list) else each for each in value)
