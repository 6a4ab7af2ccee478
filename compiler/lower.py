"""Lowering: a plan and a task -> the functions that run on every device.

Everything is one `shard_map`, manual over every mesh axis: inside it a device sees its
own copy and its own share of the batch, and each exchange is the collectives that the
plan lists and nothing else. Which exchanges happen at a step is known before tracing,
so a period makes two programs and not a `cond` around a collective.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
from jax.sharding import AbstractMesh, Mesh

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.member import begun, fresh, member_step
from diamond.compiler.parallelism.ensemble import ensemble_axis, first_params
from diamond.compiler.plan import Plan
from diamond.compiler.shards import shards_of
from diamond.compiler.state import (
    Arrays,
    Layout,
    Placing,
    add_dims,
    drop_dims,
    layout_of,
    placing_of,
)
from diamond.compiler.task import Batch, Params, Task
from diamond.compiler.variants import Due


class Lowering(NamedTuple):
    """The functions of a program, over global arrays, ready for `jax.jit`.

    Attributes:
        init: Key -> arrays of the state before step 0.
        step: Exchanges that are due, with their turns -> a function (arrays, batch) ->
            (arrays, one loss a share of the batch).
        begin: Names of exchanges whose agreements begin -> a function of arrays, run
            before their first step.
        consolidate: Parameters -> the mean of the copies, of each member of an
            ensemble for itself.
        placing: Where the arrays lie.
    """

    init: Callable[[jax.Array], Arrays]
    step: Callable[[Due], Callable[[Arrays, Batch], tuple[Arrays, Any]]]
    begin: Callable[[frozenset[str]], Callable[[Arrays], Arrays]]
    consolidate: Callable[[Params], Params]
    placing: Placing


def lower(plan: Plan, task: Task, mesh: Mesh | AbstractMesh) -> Lowering:
    """Returns the functions that carry a plan out on a mesh."""
    parts = parts_of(plan)
    layout = layout_of(plan, parts)
    settings = (plan.accumulate, plan.remat, plan.precision, plan.seed)
    shards = shards_of(plan.axes, plan.tensors, task, *settings)
    shapes = jax.eval_shape(task.init, jax.eval_shape(lambda: jax.random.key(0)))
    placing = placing_of(plan, layout, task, shapes)
    specs = placing.arrays
    ensemble = ensemble_axis(plan.axes)
    apart = 1 if ensemble else 0  # leading dims of what is a model's own

    def mapped(body: Callable[..., Any], given: Any, made: Any) -> Callable[..., Any]:
        return jax.shard_map(
            body, mesh=mesh, in_specs=given, out_specs=made, check_vma=False
        )

    def init(key: jax.Array) -> Arrays:
        def body(params: Params) -> Arrays:
            local = fresh(drop_dims(params, apart), task, shards, parts)
            return _add_copies(local, layout)

        params = (
            first_params(task.init, key, ensemble.size) if ensemble else task.init(key)
        )
        return mapped(body, (placing.copy,), specs)(params)  # type: ignore[no-any-return]

    def step(due: Due) -> Callable[[Arrays, Batch], tuple[Arrays, Any]]:
        active = _active(parts, due)

        def body(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            local = _drop_copies(arrays, layout)
            local, loss = member_step(local, batch, task, shards, active)
            losses = loss.reshape((1,) * len(placing.losses))
            return _add_copies(local, layout), losses

        def run(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            given = (specs, placing.of_batch(batch))
            return mapped(body, given, (specs, placing.losses))(arrays, batch)  # type: ignore[no-any-return]

        return run

    def begin(exchanges: frozenset[str]) -> Callable[[Arrays], Arrays]:
        beginning = [part for part in parts if part.exchange.name in exchanges]

        def body(arrays: Arrays) -> Arrays:
            local = begun(_drop_copies(arrays, layout), shards, beginning)
            return _add_copies(local, layout)

        return mapped(body, (specs,), specs)

    def consolidate(params: Params) -> Params:
        dims = tuple(range(apart, len(layout.params)))
        return jax.tree.map(lambda leaf: leaf.mean(dims), params)

    return Lowering(init, step, begin, consolidate, placing)


def _active(parts: tuple[Part, ...], due: Due) -> list[tuple[Part, int]]:
    turns = dict(due)
    return [
        (part, turns[part.exchange.name])
        for part in parts
        if part.exchange.name in turns
    ]


def _drop_copies(arrays: Arrays, layout: Layout) -> Arrays:
    """Takes the leading dims off what a device sees inside `shard_map`."""
    return _each(arrays, layout, drop_dims)


def _add_copies(arrays: Arrays, layout: Layout) -> Arrays:
    """Puts the leading dims on again."""
    return _each(arrays, layout, add_dims)


def _each(arrays: Arrays, layout: Layout, change: Callable[[Any, int], Any]) -> Arrays:
    return Arrays(
        params=change(arrays.params, len(layout.params)),
        optimizer=change(arrays.optimizer, len(layout.optimizer)),
        rules={
            key: change(state, len(layout.rules[key]))
            for key, state in arrays.rules.items()
        },
        mixers={
            key: change(state, len(layout.mixers[key]))
            for key, state in arrays.mixers.items()
        },
    )
