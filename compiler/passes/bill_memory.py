"""Bill memory: what a device holds between steps and while it computes one."""

from dataclasses import replace

import jax
import numpy as np

from diamond.compiler.agreements import parts_of
from diamond.compiler.plan import Holding, Plan
from diamond.compiler.sizes import bytes_of


def bill_memory(plan: Plan) -> Plan:
    """Lists parameters, gradients, optimizer, exchange states and batch, in bytes.

    Activations are not predicted: `certify` prints what XLA reserves.
    """
    params = _abstract_params(plan)
    copy = bytes_of(params)
    held = [
        Holding("parameters", copy),
        Holding("gradients", copy),
        Holding("optimizer", plan.optimizer_bytes),
    ]
    clauses: set[str] = set()
    for part in parts_of(plan):
        mixer = bytes_of(jax.eval_shape(part.mixer.init, params))
        rule = 0
        if part.clause not in clauses:
            rule = bytes_of(jax.eval_shape(part.rule.init, params))
            clauses.add(part.clause)
        if rule:
            held.append(Holding(f"{part.exchange.name}: anchor and outer step", rule))
        if mixer:
            held.append(Holding(f"{part.exchange.name}: error feedback", mixer))
    held.append(Holding("batch", plan.batch_bytes))
    return replace(plan, memory=tuple(held))


def _abstract_params(plan: Plan) -> list[jax.ShapeDtypeStruct]:
    dtype = np.dtype("float64" if plan.precision == "fp64" else "float32")
    return [jax.ShapeDtypeStruct(tensor.shape, dtype) for tensor in plan.tensors]
