"""Schemes of a few axes, for tests of the rules."""

from typing import Any

from diamond.dsl.legality import legality
from diamond.dsl.vocabulary import Axis, Call, Replicas, Scheduled, Scheme, Train

SGD = Call("sgd", (("lr", 0.1),))


def axes(
    *clauses: dict[str, Any],
    size: int = 4,
    steps: int = 1200,
    optimizer: Call = SGD,
) -> Scheme:
    """Returns a scheme of axes a, b, c, from the outermost, with these clauses."""
    names = "abc"[: len(clauses)]
    return Scheme(
        "laid",
        train=Train(optimizer=optimizer, steps=steps),
        mesh=tuple(Axis(name, size) for name in names),
        replicas=tuple(
            Replicas(name, **given) for name, given in zip(names, clauses, strict=True)
        ),
    )


def who(term: object, **others: object) -> dict[str, Any]:
    return {"centralization": term, **others}


def when(term: object, **others: object) -> dict[str, Any]:
    return {"consistency": term, **others}


def form(term: object, **others: object) -> dict[str, Any]:
    return {"compression": term, **others}


def then(*phases: object) -> Any:
    """Returns a schedule from terms and lengths in turn."""
    return Scheduled(tuple(zip(phases[::2], [*phases[1::2], None], strict=True)))


def errors(scheme: Scheme) -> list[str]:
    return [one.code for one in legality(scheme) if one.severity == "error"]


def warnings(scheme: Scheme) -> list[str]:
    return [one.code for one in legality(scheme) if one.severity == "warning"]
