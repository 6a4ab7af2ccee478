"""Bill memory: what a device holds between steps and while it computes one."""

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.parallelism.cuts import stored
from diamond.compiler.parallelism.scattering import is_coded, scattering_of
from diamond.compiler.plan import Holding, Plan, TensorSpec, local_tensor
from diamond.compiler.sizes import bytes_of
from diamond.dsl import vocabulary as words


def bill_memory(plan: Plan) -> Plan:
    """Lists parameters, gradients, optimizer, exchange states and batch, in bytes.

    What a step needs on the way is `temporaries.py`'s: an estimate, since XLA decides.
    """
    params = _abstract(plan, plan.local_tensors)
    sizes = {axis.name: axis.size for axis in plan.axes}
    kept = [local_tensor(stored(tensor, plan.axes), sizes) for tensor in plan.tensors]
    held = [
        Holding("parameters", bytes_of(_abstract(plan, kept))),
        Holding("gradients", bytes_of(_abstract(plan, _gradients(plan)))),
        Holding(_optimizer(plan), plan.optimizer_bytes),
        *_lost(plan),
    ]
    keys: set[str] = set()
    for part in parts_of(plan, Tape().wire):
        name = part.exchange.name
        rule, mixer = jax.eval_shape(functools.partial(_states, part), params)
        for key, state, what in (
            (f"rule {part.clause}", rule, "consistency"),
            (f"mixer {part.memory}", mixer, _keeper(part)),
        ):
            if key not in keys and bytes_of(state):
                held.append(Holding(f"{name}: state of {what}", bytes_of(state)))
            keys.add(key)
    held.append(Holding("batch", plan.batch_bytes))
    return replace(plan, memory=tuple(held))


def _gradients(plan: Plan) -> list[TensorSpec]:
    """Returns a device's gradients: those that are coded are held whole until then."""
    sizes = {a.name: 1 if is_coded(a) else a.size for a in plan.axes}
    return [local_tensor(tensor, sizes) for tensor in plan.tensors]


def _lost(plan: Plan) -> list[Holding]:
    """Returns what a codec of the shards remembers, if it does."""
    scattering = scattering_of(plan.axes, plan.tensors)
    if scattering is None:
        return []
    size = bytes_of(jax.eval_shape(lambda: scattering.init(_dtype(plan))))
    return [Holding(f"{scattering.key}: state of compression", size)] if size else []


def _keeper(part: Part) -> str:
    """Names the clause that a mixer's state belongs to: push-sum, or codecs."""
    who = part.exchange.agreement.centralization
    return "centralization" if isinstance(who, words.Gossip) else "compression"


def _optimizer(plan: Plan) -> str:
    """Names the optimizer's state: all of it, or what a server's member owns."""
    for agreement in plan.agreements:
        who = agreement.centralization
        if isinstance(who, words.ParameterServer):
            shards = who.shards or plan.axis(agreement.axis).size
            return f"optimizer, one of {shards} shards" if shards > 1 else "optimizer"
    return "optimizer"


def _states(part: Part, params: list[Any]) -> tuple[Any, Any]:
    mine = [params[place] for place in part.exchange.leaves]
    server = part.mixer.server
    like = [server.own(mine)] if server else mine
    return part.rule.init(mine, like), part.mixer.init(mine)


def _abstract(plan: Plan, tensors: Sequence[TensorSpec]) -> list[jax.ShapeDtypeStruct]:
    dtype = _dtype(plan)
    return [jax.ShapeDtypeStruct(tensor.shape, dtype) for tensor in tensors]


def _dtype(plan: Plan) -> np.dtype[Any]:
    return np.dtype("float64" if plan.precision == "fp64" else "float32")
