"""Lowering: a plan and a task -> the functions that run on every device.

Which exchanges happen at a step is known before tracing, so a period makes two programs
and not a `cond` around a collective.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from diamond.compiler.ground import Ground
from diamond.compiler.member import begun, fresh, member_step
from diamond.compiler.parallelism.ensemble import ensemble_axis, first_params
from diamond.compiler.state import Arrays, drop_dims
from diamond.compiler.task import Batch, Params
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
    """

    init: Callable[[jax.Array], Arrays]
    step: Callable[[Due], Callable[[Arrays, Batch], tuple[Arrays, Any]]]
    begin: Callable[[frozenset[str]], Callable[[Arrays], Arrays]]
    consolidate: Callable[[Params], Params]


def lower(ground: Ground) -> Lowering:
    """Returns the functions that carry a plan out on a mesh."""
    plan, task, parts, shards = ground.plan, ground.task, ground.parts, ground.shards
    placing, specs = ground.placing, ground.placing.arrays
    ensemble = ensemble_axis(plan.axes)
    apart = 1 if ensemble else 0  # leading dims of what is a model's own

    def init(key: jax.Array) -> Arrays:
        def body(params: Params) -> Arrays:
            return ground.add_copies(
                fresh(drop_dims(params, apart), task, shards, parts)
            )

        params = (
            first_params(task.init, key, ensemble.size) if ensemble else task.init(key)
        )
        return ground.mapped(body, (placing.copy,), specs)(params)  # type: ignore[no-any-return]

    def step(due: Due) -> Callable[[Arrays, Batch], tuple[Arrays, Any]]:
        active = ground.active(due)

        def body(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            local = ground.drop_copies(arrays)
            local, loss = member_step(local, batch, task, shards, active)
            losses = loss.reshape((1,) * len(placing.losses))
            return ground.add_copies(local), losses

        def run(arrays: Arrays, batch: Batch) -> tuple[Arrays, Any]:
            given = (specs, placing.of_batch(batch))
            made = (specs, placing.losses)
            return ground.mapped(body, given, made)(arrays, batch)  # type: ignore[no-any-return]

        return run

    def begin(exchanges: frozenset[str]) -> Callable[[Arrays], Arrays]:
        beginning = [part for part in parts if part.exchange.name in exchanges]

        def body(arrays: Arrays) -> Arrays:
            local = begun(ground.drop_copies(arrays), shards, beginning)
            return ground.add_copies(local)

        return ground.mapped(body, (specs,), specs)

    def consolidate(params: Params) -> Params:
        dims = tuple(range(apart, len(ground.layout.params)))
        return jax.tree.map(lambda leaf: leaf.mean(dims), params)

    return Lowering(init, step, begin, consolidate)
