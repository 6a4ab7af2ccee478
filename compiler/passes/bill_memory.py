"""Bill memory: what a device holds between steps and while it computes one."""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from diamond.compiler.agreements import parts_of
from diamond.compiler.plan import Holding, Plan


def bill_memory(plan: Plan) -> Plan:
    """Lists parameters, gradients, optimizer, exchange states and batch, in bytes.

    Activations are not predicted: `certify` prints what XLA reserves.
    """
    params = _abstract_params(plan)
    copy = _bytes(params)
    held = [
        Holding("parameters", copy),
        Holding("gradients", copy),
        Holding("optimizer", plan.optimizer_bytes),
    ]
    clauses: set[str] = set()
    for part in parts_of(plan):
        mixer = _bytes(jax.eval_shape(part.mixer.init, params))
        rule = 0
        if part.clause not in clauses:
            rule = _bytes(jax.eval_shape(part.rule.init, params))
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


def _bytes(tree: Any) -> int:
    leaves = jax.tree.leaves(tree)
    return sum(int(leaf.size) * np.dtype(leaf.dtype).itemsize for leaf in leaves)
