"""Schemes as plain data for JSON, and back."""

from collections.abc import Mapping
from typing import Any, TypeVar

from diamond.dsl.vocabulary.fields import Field, Term, fields_of
from diamond.dsl.vocabulary.schedule import AUTO, Auto, Scheduled
from diamond.dsl.vocabulary.scheme import (
    Axis,
    Link,
    Parallel,
    Replicas,
    Scheme,
    Train,
)
from diamond.dsl.vocabulary.tables import FAMILIES, word_of
from diamond.dsl.vocabulary.training import Call

Data = Mapping[str, Any]
Record = TypeVar("Record", bound=Term)
BLOCKS: dict[str, type[Term]] = {
    "mesh": Axis,
    "hardware": Link,
    "parallelism": Parallel,
    "replicas": Replicas,
}


def scheme_to_json(scheme: Scheme) -> dict[str, Any]:
    """Returns a scheme as plain data, every argument spelt out.

    Example:
        >>> scheme_to_json(Scheme("a", mesh=(Axis("host", 2),)))["mesh"]
        [{'name': 'host', 'size': 2}]
    """
    return {
        "scheme": scheme.name,
        "model": _to_json(scheme.model),
        "data": _to_json(scheme.data),
        "train": _arguments(scheme.train),
        **{word: [_arguments(one) for one in getattr(scheme, word)] for word in BLOCKS},
    }


def _to_json(value: object) -> Any:
    match value:
        case Scheduled(phases):
            laid = [{"value": _to_json(item), "steps": n} for item, n in phases]
            return {"schedule": laid}
        case Auto():
            return {"auto": True}
        case Call(name, arguments):
            given = {argument: _to_json(item) for argument, item in arguments}
            return {"call": name, "arguments": given}
        case Term():
            return {"term": word_of(value), "arguments": _arguments(value)}
        case _:
            return value


def _arguments(term: Term) -> dict[str, Any]:
    return {f.name: _to_json(getattr(term, f.name)) for f in fields_of(type(term))}


def scheme_from_json(data: Data) -> Scheme:
    """Returns the scheme of plain data, as `scheme_to_json` wrote it.

    Raises:
        ValueError: If the data is no scheme.

    Example:
        >>> scheme = Scheme("a", mesh=(Axis("host", 2),))
        >>> scheme_from_json(scheme_to_json(scheme)) == scheme
        True
    """
    try:
        return Scheme(
            name=data["scheme"],
            model=_from_json(data["model"], "model"),
            data=_from_json(data["data"], "data"),
            train=_record(data["train"], Train),
            mesh=_records(data["mesh"], Axis),
            hardware=_records(data["hardware"], Link),
            parallelism=_records(data["parallelism"], Parallel),
            replicas=_records(data["replicas"], Replicas),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no scheme: {error!r}") from error


def _records(data: Any, kind: type[Record]) -> tuple[Record, ...]:
    return tuple(_record(one, kind) for one in data)


def _record(data: Data, kind: type[Record]) -> Record:
    fields = {field.name: field for field in fields_of(kind)}
    given = {name: _argument(value, fields[name]) for name, value in data.items()}
    return kind(**given)


def _argument(value: Any, field: Field) -> Any:
    family = field.meaning.family
    return value if family is None else _from_json(value, family)


def _from_json(data: Any, family: str) -> Any:
    if not isinstance(data, Mapping):
        return data
    if "schedule" in data:
        laid = [(_from_json(p["value"], family), p["steps"]) for p in data["schedule"]]
        return Scheduled(tuple(laid))
    if "auto" in data:
        return AUTO
    if "call" in data:
        given = data["arguments"].items()
        return Call(data["call"], tuple((n, _from_json(v, family)) for n, v in given))
    rows = {row.name: row.term for row in FAMILIES[family]}
    return _record(data["arguments"], rows[data["term"]])
