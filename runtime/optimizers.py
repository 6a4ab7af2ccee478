"""From an optimizer or a schedule of the language to one of optax."""

from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
import optax
from optax import contrib

from diamond.dsl.vocabulary.optimizers import OPTIMIZERS, SCHEDULES, Signature
from diamond.dsl.vocabulary.training import Call

Schedule = Callable[[Any], jax.Array]
Value = float | int | bool | str | None | Call


def build_optimizer(call: Call, total_steps: int) -> optax.GradientTransformation:
    """Returns the optax optimizer that a call names.

    Args:
        call: Name and arguments, as in optax; `lr` is `learning_rate`.
        total_steps: Steps of the whole training, over which short forms of schedules
            decay.

    Raises:
        ValueError: If there is no such optimizer, it has no such argument, or optax
            refuses the values.

    Example:
        >>> warm = Call("warmup_cosine", (("peak", 0.1), ("warmup", 5)))
        >>> optimizer = build_optimizer(Call("sgd", (("lr", warm),)), total_steps=20)
        >>> int(optimizer.init({"w": 1.0})[1].count)
        0
    """
    optimizer = cast(
        optax.GradientTransformation, _build(call, OPTIMIZERS, "optimizer", total_steps)
    )
    _try_out(call, optimizer)
    return optimizer


def build_schedule(call: Call, total_steps: int) -> Schedule:
    """Returns the schedule that a call names: a function of the step.

    Example:
        >>> rate = build_schedule(Call("cosine", (("peak", 0.5),)), total_steps=10)
        >>> float(rate(0)), float(rate(10))
        (0.5, 0.0)
    """
    return cast(Schedule, _build(call, SCHEDULES, "schedule", total_steps))


def _build(
    call: Call, table: tuple[Signature, ...], family: str, total_steps: int
) -> object:
    signature = next((row for row in table if row.name == call.name), None)
    if signature is None:
        raise ValueError(f"there is no {family} `{call.name}`")
    arguments = _arguments(call, signature, total_steps)
    try:
        if signature.home == "diamond":
            return SHORT_FORMS[call.name](**arguments, total_steps=total_steps)
        home = contrib if signature.home == "optax.contrib" else optax
        return getattr(home, call.name)(**arguments)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{call.name}` cannot be built: {error}") from error


def _try_out(call: Call, optimizer: optax.GradientTransformation) -> None:
    """Takes a step in shapes only: optax judges some values no earlier than that."""
    params = {"weight": jax.ShapeDtypeStruct((2, 2), np.float32)}
    try:
        jax.eval_shape(lambda p: optimizer.update(p, optimizer.init(p), p), params)
    except (TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"`{call.name}` cannot be built: {reason}") from error


def _arguments(call: Call, signature: Signature, total_steps: int) -> dict[str, Any]:
    full = {p.alias or p.name: p.name for p in signature.parameters}
    known = set(full.values())
    arguments: dict[str, Any] = {}
    for given, value in call.arguments:
        name = full.get(given, given)
        if name not in known:
            raise ValueError(
                f"`{call.name}` has no argument `{given}`; it takes {', '.join(full)}"
            )
        if name in arguments:
            raise ValueError(f"`{call.name}` is given `{name}` twice")
        arguments[name] = _value(value, total_steps)
    lacking = [p.name for p in signature.parameters if p.required]
    for name in lacking:
        if name not in arguments:
            raise ValueError(f"`{call.name}` needs its argument `{name}`")
    return arguments


def _value(value: Value, total_steps: int) -> object:
    return build_schedule(value, total_steps) if isinstance(value, Call) else value


def warmup_cosine(
    peak: float, warmup: int, end: float = 0.0, *, total_steps: int
) -> Schedule:
    """From 0 up to `peak` in a line, then down to `end` along half a cosine."""
    _check_warmup(warmup, total_steps)
    if warmup == 0:
        return cosine(peak, end, total_steps=total_steps)
    return cast(
        Schedule,
        optax.warmup_cosine_decay_schedule(0.0, peak, warmup, total_steps, end),
    )


def warmup_linear(
    peak: float, warmup: int, end: float = 0.0, *, total_steps: int
) -> Schedule:
    """From 0 up to `peak` and down to `end`, both in a line."""
    _check_warmup(warmup, total_steps)
    down = optax.linear_schedule(peak, end, total_steps - warmup)
    if warmup == 0:
        return cast(Schedule, down)
    up = optax.linear_schedule(0.0, peak, warmup)
    return cast(Schedule, optax.join_schedules([up, down], [warmup]))


def cosine(peak: float, end: float = 0.0, *, total_steps: int) -> Schedule:
    """From `peak` down to `end` along half a cosine."""
    floor = end / peak if peak else 0.0
    return cast(Schedule, optax.cosine_decay_schedule(peak, total_steps, floor))


def _check_warmup(warmup: int, total_steps: int) -> None:
    if not 0 <= warmup < total_steps:
        raise ValueError(
            f"a warm-up of {warmup} steps does not fit into {total_steps} steps"
        )


SHORT_FORMS: dict[str, Callable[..., Schedule]] = {
    "warmup_cosine": warmup_cosine,
    "warmup_linear": warmup_linear,
    "cosine": cosine,
}
