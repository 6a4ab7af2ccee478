"""Flows: what a model that is cut up sends by itself, read off its traced step.

The gradient of a device's part of the model is traced over an abstract mesh, and the
collectives in it are counted, those of a loop as often as it turns. Of a pipeline,
whose stages do other things, they are counted stage by stage.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core
from jax.interpreters.partial_eval import dce_jaxpr
from jax.sharding import PartitionSpec

from diamond.compiler.compat import abstract_mesh
from diamond.compiler.exchange.wire import dtype_name
from diamond.compiler.parallelism.partition import partition_of
from diamond.compiler.plan import Flow, Kind, MeshAxis, Message, TensorSpec
from diamond.compiler.scopes import name_in, turns_in
from diamond.compiler.shards import shards_of
from diamond.compiler.task import Task
from diamond.dsl.vocabulary import Train

_KINDS: dict[str, Kind] = {
    "psum": "all-reduce",
    "psum_invariant": "all-reduce",
    "pmax": "all-reduce",
    "all_gather": "all-gather",
    "reduce_scatter": "reduce-scatter",
    "all_to_all": "all-to-all",
    "ppermute": "collective-permute",
}


class _Sent(NamedTuple):
    """One collective of the traced step.

    Attributes:
        name: Its flow.
        axis: The mesh axis that it crosses.
        message: What a device puts in.
        times: How often all devices do it; or each stage, where these differ.
    """

    name: str
    axis: str
    message: Message
    times: tuple[int, ...]


def flows_of(
    axes: Sequence[MeshAxis],
    tensors: Sequence[TensorSpec],
    task: Task,
    kept: Any,
    share: Any,
    train: Train,
) -> tuple[Flow, ...]:
    """Returns what the strategies of some axes send in a step.

    Args:
        axes: The mesh.
        tensors: The parameters, with their cuts.
        task: What is trained.
        kept: Shapes of one device's parameters, as a state keeps them.
        share: Shapes of one device's share of a batch.
        train: In how many microbatches it takes its share, what it recomputes, and in
            what precision.
    """
    if all(axis.holds_copies or axis.size == 1 for axis in axes):
        return ()
    partition = partition_of(axes, tensors, task)
    if partition is not None:
        return (Flow(partition.name, partition.axis, (), by_partitioner=True),)
    settings = (train.accumulate, train.remat, train.precision, train.seed)
    shards = shards_of(axes, tensors, task, *settings)

    def step(params: Any, batch: Any) -> Any:
        loss, gradient = shards.gradient(params, None, batch)
        gradient, lost = shards.scatter(gradient, shards.remember(params))
        return loss, gradient, lost, shards.keep(shards.own(params))

    mesh = abstract_mesh({axis.name: axis.size for axis in axes})
    everywhere = PartitionSpec()
    mapped = jax.shard_map(
        step, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False
    )
    traced = jax.make_jaxpr(mapped)(kept, share)
    # What nobody uses is traced, too, and XLA leaves it out.
    used, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    return _grouped(axes, list(_sent(used, "", 1)))


def _grouped(axes: Sequence[MeshAxis], sent: list[_Sent]) -> tuple[Flow, ...]:
    keys = dict.fromkeys(
        (each.axis, each.name)
        for axis in axes
        for each in sent
        if each.axis == axis.name
    )
    return tuple(
        flow
        for axis, name in keys
        for flow in _flows(
            name, axis, [s for s in sent if (s.axis, s.name) == (axis, name)]
        )
    )


def _flows(name: str, axis: str, sent: list[_Sent]) -> Iterator[Flow]:
    """Yields what all devices send, and what some stages do, alike ones together."""
    num = max(len(each.times) for each in sent)
    everyone = _messages(each for each in sent if len(each.times) == 1)
    if everyone:
        yield Flow(name, axis, everyone)
    by_stage: dict[tuple[Message, ...], list[int]] = {}
    for stage in range(num if num > 1 else 0):
        some = (each for each in sent if len(each.times) > 1)
        by_stage.setdefault(_messages(some, stage), []).append(stage)
    for messages, stages in by_stage.items():
        if messages:
            yield Flow(name, axis, messages, tuple(stages))


def _messages(sent: Iterable[_Sent], stage: int = 0) -> tuple[Message, ...]:
    return tuple(each.message for each in sent for _ in range(each.times[stage]))


def _sent(jaxpr: core.Jaxpr, scope: str, times: int) -> Iterator[_Sent]:
    for equation in jaxpr.eqns:
        here = f"{scope}/{equation.source_info.name_stack}"
        kind = _KINDS.get(equation.primitive.name)
        if kind is not None:
            yield from _collective(equation, kind, here, times)
        loops = equation.params.get("length", 1) * times
        for inner in _inside(equation):
            yield from _sent(inner, here, loops)


def _collective(equation: Any, kind: Kind, scope: str, times: int) -> Iterator[_Sent]:
    named = equation.params.get("axes") or equation.params["axis_name"]
    axes = (named,) if isinstance(named, str) else tuple(named)
    name = name_in(scope)
    if len(axes) != 1 or name is None:
        raise AssertionError(f"a {kind} over {axes} in `{scope}` has no place in plans")
    pairs = tuple(sorted(equation.params.get("perm", ())))
    for operand in equation.invars:
        aval = operand.aval
        message = Message(kind, dtype_name(aval.dtype), int(aval.size), pairs=pairs)
        yield _Sent(name, axes[0], message, _times(scope, times))


def _times(scope: str, times: int) -> tuple[int, ...]:
    """Returns how often a collective is done, by stages where it is in a branch."""
    return tuple(int(times * part) for part in turns_in(scope)) or (times,)


def _inside(equation: Any) -> Iterator[core.Jaxpr]:
    """Yields the functions that an equation runs; not the rules of its gradient."""
    for value in equation.params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, core.Jaxpr | core.ClosedJaxpr):
                inner: Any = each  # with jax 0.12 the two are one class
                yield getattr(inner, "jaxpr", inner)
