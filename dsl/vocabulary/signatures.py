"""How the arguments of an optax function are declared."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "integer", "boolean", "string", "schedule"]
Home = Literal["optax", "optax.contrib", "diamond"]
Plain = float | int | bool | str | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument of an optax function.

    Attributes:
        name: The name in optax.
        kind: What it takes; `schedule` takes a number or a call of a schedule.
        required: Whether optax has no default for it.
        alias: A short name that the language takes too, such as `lr`.
        default: What holds where it is not given; None also where optax then leaves
            something out.
    """

    name: str
    kind: Kind
    required: bool = False
    alias: str | None = None
    default: Plain = None

    @property
    def word(self) -> str:
        """The name that the language writes."""
        return self.alias or self.name


@dataclass(frozen=True, slots=True)
class Signature:
    """An optimizer or a schedule: its name, its arguments and where it lives.

    Attributes:
        name: The name in optax, or Diamond's own short form.
        parameters: The arguments, in optax's order.
        home: The module that has it; `diamond` for short forms.
        doc: One line for the reference page, for what optax does not document.
    """

    name: str
    parameters: tuple[Parameter, ...]
    home: Home = "optax"
    doc: str = ""

    def parameter(self, name: str) -> Parameter | None:
        """Returns an argument by its name or its short name."""
        named = (one for one in self.parameters if name in (one.name, one.alias))
        return next(named, None)


def lr(default: float | None = None, kind: Kind = "schedule") -> Parameter:
    """A learning rate; required where it has no default."""
    return Parameter("learning_rate", kind, default is None, "lr", default)


def needs(name: str, kind: Kind = "number") -> Parameter:
    """An argument without a default."""
    return Parameter(name, kind, required=True)


def number(name: str, default: float | None = None) -> Parameter:
    """A number."""
    return Parameter(name, "number", default=default)


def integer(name: str, default: int | None = None) -> Parameter:
    """A whole number."""
    return Parameter(name, "integer", default=default)


def flag(name: str, default: bool = False) -> Parameter:
    """A truth value."""
    return Parameter(name, "boolean", default=default)


def string(name: str, default: str | None = None) -> Parameter:
    """A string."""
    return Parameter(name, "string", default=default)


def varies(name: str, default: float | None = None) -> Parameter:
    """A number or a schedule."""
    return Parameter(name, "schedule", default=default)


def contrib(name: str, *parameters: Parameter) -> Signature:
    """A row of `optax.contrib`."""
    return Signature(name, parameters, "optax.contrib")
