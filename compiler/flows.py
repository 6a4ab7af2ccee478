"""Flows: what a model that is cut up sends by itself, read off its traced step.

The gradient of a device's part of the model is traced over an abstract mesh, and the
collectives in it are counted, those of a loop as often as it turns.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core
from jax.sharding import PartitionSpec

from diamond.compiler.compat import abstract_mesh
from diamond.compiler.exchange.wire import dtype_name
from diamond.compiler.plan import Flow, Kind, MeshAxis, Message, TensorSpec
from diamond.compiler.scopes import name_in
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
    """One collective of the traced step."""

    name: str
    axis: str
    message: Message


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
        train: In how many microbatches it takes its share, and what it recomputes.
    """
    if all(axis.holds_copies or axis.size == 1 for axis in axes):
        return ()
    shards = shards_of(axes, tensors, task, train.accumulate, train.remat)

    def step(params: Any, batch: Any) -> Any:
        loss, gradient = shards.gradient(params, None, batch)
        return loss, gradient, shards.keep(shards.own(params))

    mesh = abstract_mesh({axis.name: axis.size for axis in axes})
    everywhere = PartitionSpec()
    mapped = jax.shard_map(
        step, mesh=mesh, in_specs=everywhere, out_specs=everywhere, check_vma=False
    )
    traced = jax.make_jaxpr(mapped)(kept, share)
    return _grouped(axes, list(_sent(traced.jaxpr, "", 1)))


def _grouped(axes: Sequence[MeshAxis], sent: list[_Sent]) -> tuple[Flow, ...]:
    keys = dict.fromkeys(
        (each.axis, each.name)
        for axis in axes
        for each in sent
        if each.axis == axis.name
    )
    return tuple(
        Flow(
            name,
            axis,
            tuple(s.message for s in sent if (s.axis, s.name) == (axis, name)),
        )
        for axis, name in keys
    )


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
        yield from [_Sent(name, axes[0], message)] * times


def _inside(equation: Any) -> Iterator[core.Jaxpr]:
    """Yields the functions that an equation runs; not the rules of its gradient."""
    for value in equation.params.values():
        for each in value if isinstance(value, tuple | list) else (value,):
            if isinstance(each, core.Jaxpr | core.ClosedJaxpr):
                inner: Any = each  # with jax 0.12 the two are one class
                yield getattr(inner, "jaxpr", inner)
