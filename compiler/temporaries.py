"""Temporaries: what a device needs beside what it holds while it computes a step."""

from collections.abc import Mapping
from dataclasses import replace

import jax
from jax.interpreters.partial_eval import dce_jaxpr

from diamond.compiler.compat import abstract_mesh
from diamond.compiler.ground import ground_of
from diamond.compiler.liveness import peak_of
from diamond.compiler.lower import lower
from diamond.compiler.plan import TEMPORARIES, Holding, Plan
from diamond.compiler.task import Task
from diamond.compiler.variants import variants_of


def with_temporaries(
    plan: Plan, task: Task, batch_shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> Plan:
    """Adds an estimate of activations and temporaries to what a plan bills.

    The step at which most exchanges meet is traced, without any device. What is in use
    at once has the gradients in it, which the plan bills already.
    """
    peak = _peak(plan, task, batch_shapes)
    billed = sum(each.bytes for each in plan.memory if each.what == "gradients")
    more = Holding(TEMPORARIES, max(0, peak - billed))
    return replace(plan, memory=(*plan.memory, more))


def _peak(
    plan: Plan, task: Task, batch_shapes: Mapping[str, jax.ShapeDtypeStruct]
) -> int:
    mesh = abstract_mesh({axis.name: axis.size for axis in plan.axes} or {"device": 1})
    lowering = lower(ground_of(plan, task, mesh))
    arrays = jax.eval_shape(lowering.init, jax.eval_shape(lambda: jax.random.key(0)))
    due = max(variants_of(plan), key=len)
    traced = jax.make_jaxpr(lowering.step(due))(arrays, dict(batch_shapes))
    outs = len(traced.jaxpr.outvars)
    used, _ = dce_jaxpr(traced.jaxpr, [True] * outs, instantiate=True)
    states = len(jax.tree.leaves(arrays))
    return peak_of(used, list(zip(used.outvars[:states], used.invars, strict=False)))
