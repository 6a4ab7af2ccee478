"""The optax optimizers and schedules that a scheme may name, with their arguments.

The table is data, so that a scheme is checked without importing optax; a test holds
it against the installed optax.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "integer", "boolean", "string", "schedule", "numbers", "integers"]


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of an optax function.

    Attributes:
        name: The name in optax.
        kind: What it takes; `schedule` takes a number or a call of a schedule.
        required: Whether optax has no default for it.
        alias: A short name that the language takes too, such as `lr`.
    """

    name: str
    kind: Kind
    required: bool = False
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Signature:
    """An optax function: its name and its arguments."""

    name: str
    parameters: tuple[Parameter, ...]


_LEARNING_RATE = Parameter("learning_rate", "schedule", required=True, alias="lr")

OPTIMIZERS: tuple[Signature, ...] = (
    Signature(
        "sgd",
        (
            _LEARNING_RATE,
            Parameter("momentum", "number"),
            Parameter("nesterov", "boolean"),
        ),
    ),
    Signature(
        "adamw",
        (
            _LEARNING_RATE,
            Parameter("b1", "number"),
            Parameter("b2", "number"),
            Parameter("eps", "number"),
            Parameter("weight_decay", "number"),
        ),
    ),
    Signature("adam", (_LEARNING_RATE, Parameter("b1", "number"))),
)

SCHEDULES: tuple[Signature, ...] = (
    Signature("constant_schedule", (Parameter("value", "number", required=True),)),
)
