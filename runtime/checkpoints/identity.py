"""What a checkpoint belongs to: scheme, engine, data and versions.

differs                              a run that goes on
name, hardware, evaluate, checkpoint goes on: they do not touch the numbers
distill                              goes on, but for its student: the ensemble knows
                                     nothing of it
train.steps                          goes on: training may become longer
any other field, engine, data        is refused, with the fields that differ
versions                             goes on with a note: bits may differ
"""

import hashlib
import platform
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.distillation import student_of
from diamond.dsl.emit import emit, format_term, parse_term
from diamond.dsl.vocabulary import Call, Scheme
from diamond.dsl.vocabulary.schedules import SCHEDULES
from diamond.runtime.failures import EnvironmentProblem

LIBRARIES = ("diamondc", "jax", "jaxlib", "flax", "optax", "numpy", "orbax-checkpoint")
OPTIMIZER = "train.optimizer"
ANOTHER = "give another folder with --out"

Meta = dict[str, Any]


def describe(scheme: Scheme, engine: str, fingerprint: str) -> Meta:
    """Returns what is written into each checkpoint of a run.

    Args:
        scheme: What is trained.
        engine: What with, `mesh` or `reference`.
        fingerprint: The data's digest.

    Example:
        >>> describe(Scheme("tiny"), "mesh", "00")["fields"]["train.seed"]
        '0'
    """
    text = emit(scheme)
    return {
        "fields": {**_fields(scheme), "engine": engine, "data contents": fingerprint},
        "scheme": text,
        "scheme_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "steps": scheme.train.steps,
        "spanning": sorted(_spanning(scheme.train.optimizer)),
        "mesh": {axis.name: axis.size for axis in scheme.mesh},
        "versions": _versions(),
    }


def describe_student(scheme: Scheme, members: Meta, fingerprint: str) -> Meta:
    """Returns what is written into each checkpoint of an ensemble's student.

    Args:
        scheme: The scheme with `distill`.
        members: What is written into those of the ensemble.
        fingerprint: The data's digest.
    """
    assert scheme.distill is not None
    fields = members["fields"]
    meta = describe(student_of(scheme), fields["engine"], fingerprint)
    meta["fields"] |= {
        "distill.temperature": str(scheme.distill.temperature),
        "distill.weight": str(scheme.distill.weight),
        **{
            f"members' {name}": value
            for name, value in fields.items()
            if meta["fields"].get(name) != value
        },
    }
    meta["way_out"] = "move the student's folder away, and it is distilled anew"
    return meta


def check_identity(saved: Meta, now: Meta) -> None:
    """Holds a checkpoint's description against that of the run that takes it up.

    Raises:
        EnvironmentProblem: If the run would go on with something else.
    """
    before, after = saved.get("fields", {}), now.get("fields", {})
    if OPTIMIZER in after and _in_full(before) == _in_full(after):
        before = {**before, OPTIMIZER: after[OPTIMIZER]}
    lines = _differences(before, after)
    if lines:
        head = "the folder's checkpoint belongs to another scheme:"
        tail = "go on with the scheme as it was, or " + now.get("way_out", ANOTHER)
        raise EnvironmentProblem("\n".join([head, *lines, tail]))


def tell_changes(saved: Meta, now: Meta, note: Callable[[str], None]) -> None:
    """Tells of what differs and lets a run go on all the same."""
    before, after = saved.get("steps"), now.get("steps")
    spanning = now.get("spanning")
    if spanning and before != after:
        names = ", ".join(f"`{name}`" for name in spanning)
        note(
            f"train.steps was {before} and is {after}: {names}, which spans all steps,"
            " goes on by the new number"
        )
    versions = _differences(saved.get("versions", {}), now.get("versions", {}))
    if versions:
        note("the checkpoint is from other versions, so bits may differ:")
        for line in versions:
            note(line)


def _differences(saved: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    return [
        f"  {name}: saved {saved.get(name, 'nothing')}, now {now.get(name, 'nothing')}"
        for name in dict.fromkeys([*saved, *now])
        if saved.get(name) != now.get(name)
    ]


def _in_full(fields: Mapping[str, str]) -> str | None:
    """Returns the optimizer with all of its arguments, given or not."""
    try:
        call = parse_term("optimizer", fields.get(OPTIMIZER, ""))
    except SchemeError:  # of another version of Diamond
        return fields.get(OPTIMIZER)
    return format_term(call, in_full=True)


def _fields(scheme: Scheme) -> dict[str, str]:
    """Returns every field that has a part in the numbers, as the language writes it."""
    train = scheme.train
    fields = {
        "model": _written(scheme.model),
        "data": _written(scheme.data),
        OPTIMIZER: _written(train.optimizer),
        "train.loss": _written(train.loss),
        "train.seed": str(train.seed),
        "train.precision": train.precision,
        "mesh": ", ".join(f"{axis.name} = {axis.size}" for axis in scheme.mesh),
    }
    for each in scheme.parallelism:
        fields[f"parallelism over {each.axis}"] = _written(each.strategy)
    for block in scheme.replicas:
        for name in ("centralization", "consistency", "compression", "redundancy"):
            value = getattr(block, name)
            fields[f"replicas over {block.axis}: {name}"] = _written(value)
    return fields


def _spanning(call: Call) -> set[str]:
    """Returns the names of schedules whose length is that of the training."""
    inner = [value for _, value in call.arguments if isinstance(value, Call)]
    mine = {call.name} & {row.name for row in SCHEDULES if row.home == "diamond"}
    return mine.union(*map(_spanning, inner))


def _written(term: object) -> str:
    return "nothing" if term is None else format_term(term)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        found[name] = metadata.version(name)
    return found
