"""Route exchanges: choose how each mean travels, and list its messages.

The messages are those of the code that is compiled later, run here on a tape.
"""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from diamond.compiler.agreements import Part, part_of
from diamond.compiler.exchange.contract import Leaves
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.meeting import kept_after_meeting
from diamond.compiler.plan import Exchange, Message, Plan, TensorSpec


def route_exchanges(plan: Plan) -> Plan:
    """Gives each exchange its route, the reason, its turns and its messages."""
    return replace(plan, exchanges=tuple(_route(plan, e) for e in plan.exchanges))


def _route(plan: Plan, exchange: Exchange) -> Exchange:
    mixer = part_of(plan, exchange).mixer
    turns = tuple(dict.fromkeys(mixer.turns))
    messages = tuple(
        replace(message, turn=turn)
        for turn in turns
        for message in _messages(plan, exchange, turn)
    )
    return replace(
        exchange,
        turns=mixer.turns,
        route=mixer.route,
        reason=mixer.reason,
        messages=messages,
    )


def _messages(plan: Plan, exchange: Exchange, turn: int) -> list[Message]:
    tape = Tape()
    part = part_of(plan, exchange, tape.wire)
    values = leaves_of(plan.local_tensors, exchange.leaves)
    floats = [t for t in plan.optimizer_tensors if t.dtype.startswith("float")]
    optimizer = leaves_of(tuple(floats), range(len(floats)))
    jax.eval_shape(lambda v: _meet(part, v, turn), values)
    met = len(tape.messages)
    jax.eval_shape(lambda o: kept_after_meeting(part, o, lambda: o), optimizer)
    kept = [replace(message, is_state=True) for message in tape.messages[met:]]
    return [*tape.messages[:met], *kept]


def _meet(part: Part, values: Leaves, turn: int) -> Any:
    mean, _ = part.mixer.mean(values, part.mixer.init(values), turn)
    server = part.mixer.server
    return mean, server.pull(mean[0], values) if server else None


def leaves_of(tensors: tuple[TensorSpec, ...], places: Any) -> Leaves:
    """Returns the shapes and types of some tensors."""
    chosen = [tensors[place] for place in places]
    return [jax.ShapeDtypeStruct(t.shape, np.dtype(t.dtype)) for t in chosen]
