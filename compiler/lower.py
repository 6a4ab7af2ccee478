"""Lowering: a plan and a task -> the functions that run on every device.

Everything is one `shard_map`, manual over every mesh axis: inside it a device sees its
own copy and its own share of the batch, and each exchange is the collectives that the
plan lists and nothing else. Which exchanges happen at a step is known before tracing,
so a period makes two programs and not a `cond` around a collective.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax
from jax.sharding import Mesh, PartitionSpec

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.exchange.contract import Tree
from diamond.compiler.plan import Plan
from diamond.compiler.state import (
    Arrays,
    Layout,
    add_dims,
    drop_dims,
    layout_of,
    specs_of,
)
from diamond.compiler.task import Batch, Params, Task

SCOPE = "diamond:"


class Lowering(NamedTuple):
    """The functions of a program, over global arrays, ready for `jax.jit`.

    Attributes:
        init: Key -> arrays of the state before step 0.
        step: Names of the exchanges that are due -> a function (arrays, batch) ->
            (arrays, one loss a member).
        rebase: Clauses that begin -> a function of arrays, run before their first
            step.
        consolidate: Parameters -> the mean of the copies.
        arrays: Partition specs of the arrays.
        batch: Partition spec of each array of a batch.
    """

    init: Callable[[jax.Array], Arrays]
    step: Callable[[frozenset[str]], Callable[[Arrays, Batch], tuple[Arrays, Any]]]
    rebase: Callable[[frozenset[str]], Callable[[Arrays], Arrays]]
    consolidate: Callable[[Params], Params]
    arrays: Arrays
    batch: PartitionSpec


def lower(plan: Plan, task: Task, mesh: Mesh) -> Lowering:
    """Returns the functions that carry a plan out on a mesh."""
    names = tuple(axis.name for axis in plan.axes)
    parts, layout = parts_of(plan), layout_of(plan)
    specs, batch = specs_of(layout), PartitionSpec(names)

    def mapped(body: Callable[..., Any], given: Any, made: Any) -> Callable[..., Any]:
        return jax.shard_map(
            body, mesh=mesh, in_specs=given, out_specs=made, check_vma=False
        )

    def init(key: jax.Array) -> Arrays:
        params = task.init(key)
        body = mapped(
            lambda params: _add_copies(_fresh(params, task, parts), layout),
            (PartitionSpec(),),
            specs,
        )
        return body(params)  # type: ignore[no-any-return]

    def step(due: frozenset[str]) -> Callable[[Arrays, Batch], tuple[Arrays, Any]]:
        def body(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            local = _drop_copies(arrays, layout)
            local, loss = _member_step(local, batch, task, parts, due)
            return _add_copies(local, layout), loss.reshape((1,) * len(names))

        return mapped(body, (specs, batch), (specs, PartitionSpec(*names)))

    def rebase(clauses: frozenset[str]) -> Callable[[Arrays], Arrays]:
        def body(arrays: Arrays) -> Arrays:
            local = _drop_copies(arrays, layout)
            rules = _rebased(local.params, local.rules, parts, clauses)
            return _add_copies(local._replace(rules=rules), layout)

        return mapped(body, (specs,), specs)

    def consolidate(params: Params) -> Params:
        dims = tuple(range(len(layout.copies)))
        return jax.tree.map(lambda leaf: leaf.mean(dims), params)

    return Lowering(init, step, rebase, consolidate, specs, batch)


def _fresh(params: Params, task: Task, parts: tuple[Part, ...]) -> Arrays:
    return Arrays(
        params=params,
        optimizer=task.optimizer.init(params),
        rules={part.clause: part.rule.init(params) for part in parts},
        mixers={part.exchange.name: part.mixer.init(params) for part in parts},
    )


def _member_step(
    local: Arrays,
    batch: Batch,
    task: Task,
    parts: tuple[Part, ...],
    due: frozenset[str],
) -> tuple[Arrays, jax.Array]:
    loss, gradients = jax.value_and_grad(task.loss)(local.params, batch)
    active = [part for part in parts if part.exchange.name in due]
    inner = [part for part in active if part.exchange.subject == "gradients"]
    outer = [part for part in active if part.exchange.subject == "parameters"]
    gradients, local = _exchanged(gradients, local, inner)
    updates, optimizer = task.optimizer.update(gradients, local.optimizer, local.params)
    params = optax.apply_updates(local.params, updates)
    params, local = _exchanged(params, local, outer)
    met = frozenset(part.clause for part in outer)
    rules = _rebased(params, local.rules, parts, met)
    return Arrays(params, optimizer, rules, local.mixers), loss


def _exchanged(values: Tree, local: Arrays, parts: list[Part]) -> tuple[Tree, Arrays]:
    for part in parts:
        name = part.exchange.name
        with jax.named_scope(f"{SCOPE}{name}"):
            rule = local.rules[part.clause]
            offered = part.rule.offer(values, rule)
            mean, mixer = part.mixer.mean(offered, local.mixers[name])
            values, rule = part.rule.accept(values, mean, rule)
        local = local._replace(
            rules={**local.rules, part.clause: rule},
            mixers={**local.mixers, name: mixer},
        )
    return values, local


def _rebased(
    params: Params,
    rules: dict[str, Tree],
    parts: tuple[Part, ...],
    clauses: frozenset[str],
) -> dict[str, Tree]:
    by_clause = {part.clause: part.rule for part in parts}
    return {
        clause: by_clause[clause].rebase(params, state) if clause in clauses else state
        for clause, state in rules.items()
    }


def _drop_copies(arrays: Arrays, layout: Layout) -> Arrays:
    """Takes the leading dims off what a device sees inside `shard_map`."""
    return _each(arrays, layout, drop_dims)


def _add_copies(arrays: Arrays, layout: Layout) -> Arrays:
    """Puts the leading dims on again."""
    return _each(arrays, layout, add_dims)


def _each(
    arrays: Arrays, layout: Layout, change: Callable[[Tree, int], Tree]
) -> Arrays:
    num = len(layout.copies)
    mixers = {
        name: change(state, len(layout.mixers[name]))
        for name, state in arrays.mixers.items()
    }
    return Arrays(
        params=change(arrays.params, num),
        optimizer=change(arrays.optimizer, num),
        rules=change(arrays.rules, num),
        mixers=mixers,
    )
