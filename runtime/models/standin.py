"""A stand-in for a model, with which a loss is taken apart around its one call.

A loss `(model, batch) -> scalar` is run twice: up to its call of the model, which tells
what the first stage gets; and past it, with what came out of the last one.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import jax
from jax.extend.core import get_opaque_trace_state

Judge = Callable[[Any, Mapping[str, jax.Array]], jax.Array]


class LossUse(Exception):
    """A loss does more with a model than to call it once; says what."""


class Called(NamedTuple):
    """What a model was called with."""

    inputs: tuple[Any, ...]
    named: dict[str, Any]

    @property
    def in_order(self) -> tuple[Any, ...]:
        """What its first part is called with, whatever that calls its arguments."""
        return (*self.inputs, *self.named.values())


class _Reached(Exception):
    """A loss came to its call."""

    def __init__(self, called: Called) -> None:
        super().__init__()
        self.called = called


class StandIn:
    """What a loss gets in place of a model: it can be called, and nothing else."""

    __slots__ = ("_answer", "_calls")

    def __init__(self, answer: Callable[[Called], Any]) -> None:
        self._answer, self._calls = answer, 0

    def __call__(self, *inputs: Any, **named: Any) -> Any:
        """Answers the first call.

        Raises:
            LossUse: At the second one.
        """
        self._calls += 1
        if self._calls > 1:
            raise LossUse("calls the model more than once")
        return self._answer(Called(inputs, named))

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # what Python and JAX ask of any function
            raise AttributeError(name)
        raise LossUse(f"reads `{name}` of the model")


def called_with(loss: Judge, batch: Mapping[str, jax.Array]) -> Called:
    """Returns what a loss calls its model with.

    Raises:
        LossUse: If it does not come to a call of its own, or reads something of the
            model.

    Example:
        >>> loss = lambda model, batch: model(2 * batch["x"]).sum()
        >>> called_with(loss, {"x": 3.0}).inputs
        (6.0,)
    """
    outside = get_opaque_trace_state(convention="nnx")

    def stop(called: Called) -> NoReturn:
        if get_opaque_trace_state(convention="nnx") != outside:
            raise LossUse("calls the model inside a transformation of JAX's")
        raise _Reached(called)

    try:
        loss(StandIn(stop), batch)
    except _Reached as reached:
        return reached.called
    raise LossUse("does not call the model")


def judged(loss: Judge, outputs: Any, batch: Mapping[str, jax.Array]) -> jax.Array:
    """Returns the loss of a model that gives these outputs.

    Raises:
        LossUse: If it asks more of the model than them.

    Example:
        >>> loss = lambda model, batch: model(batch["x"]) - batch["y"]
        >>> judged(loss, 3.0, {"x": 1.0, "y": 2.0})
        1.0
    """
    return loss(StandIn(lambda called: outputs), batch)
