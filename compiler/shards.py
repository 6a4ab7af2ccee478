"""Shards: how the devices that hold one copy of a model compute with it.

Parameters are *kept* between steps as a state has them, *owned* where they are
exchanged and updated, and *whole* (up to the cuts of layers that work in parts) where
the loss is taken. Without strategies the three are the same.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.accumulation import Step, accumulated
from diamond.compiler.parallelism.expert import ExpertGroup
from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.pipeline import Pipeline, pipelined
from diamond.compiler.parallelism.scattering import Scattering, scattering_of
from diamond.compiler.parallelism.sequence import TokenGroup
from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.compiler.parallelism.staging import pipeline_axis, stack_for, table_on
from diamond.compiler.parallelism.zero import Zero, zero_of
from diamond.compiler.plan import MeshAxis, TensorSpec, local_tensor
from diamond.compiler.scopes import SCOPE, scope_of
from diamond.compiler.task import Batch, Params, Task
from diamond.dsl import vocabulary as words

_CUT = {
    "tensor": "layers",
    "sequence": "tokens",
    "expert": "experts",
    "features": "inputs",
}

Memory = dict[str, Any]
Loss = Callable[[Params, Batch], jax.Array]
Scaled = Callable[[Params, Batch], tuple[jax.Array, jax.Array]]


class Shards(NamedTuple):
    """Functions over one device's part of the parameters, inside `shard_map`.

    Attributes:
        own: Parameters as they are kept -> what this device exchanges and updates.
        keep: What it updated -> parameters as they are kept.
        gradient: (parameters as they are kept, where else to take the gradient as they
            are owned or None, this device's share of the batch) -> (mean loss of that
            share, gradient of the copy's mean loss as it is owned, or as `scatter`
            takes it).
        remember: Parameters -> what codecs of the strategies lost at first, by key.
        scatter: (gradient, what they lost) -> (gradient as it is owned, what they
            lost).
    """

    own: Callable[[Params], Params]
    keep: Callable[[Params], Params]
    gradient: Callable[[Params, Params | None, Batch], tuple[jax.Array, Params]]
    remember: Callable[[Params], Memory]
    scatter: Callable[[Params, Memory], tuple[Params, Memory]]


def shards_of(
    axes: Sequence[MeshAxis],
    tensors: Sequence[TensorSpec],
    task: Task,
    microbatches: int = 1,
    remat: str = "none",
    precision: str = "fp32",
    seed: int = 0,
) -> Shards:
    """Builds the functions for the strategies of some axes.

    Args:
        axes: The mesh.
        tensors: The parameters, with their cuts.
        task: What is trained.
        microbatches: Equal parts of its share of the batch that a device takes one
            after another; their gradients are added up.
        remat: What the loss computes again for its gradient.
        precision: `bf16` where the loss rounds parameters to that, so that they can be
            rounded before they are gathered for it.
        seed: Of what codecs of the strategies draw.

    Raises:
        ValueError: If an axis cuts layers and the task cannot say how.
    """
    pipe = pipeline_axis(axes)
    zero = next((z for axis in axes if (z := zero_of(axis, tensors))), None)
    scattering = scattering_of(axes, tensors, seed)
    sequence, expert = _sequence_of(axes), _expert_of(axes)
    added_up = (None if scattering else zero, sequence, expert)
    parts = math.prod(group.size for group in added_up if group)
    if pipe is not None:
        stages = Pipeline(pipe.name, table_on(pipe), SCOPE + scope_of(pipe))
        stack = stack_for(pipe, task, _spread_of(axes))
        plain = pipelined(stages, stack, 1 / parts)
    else:
        scaled = _scaled(loss_of(axes, task), parts)
        if zero is None or zero.stage < 3:
            plain = _plain(scaled)
        elif scattering is None:
            plain = _gathering(scaled, zero, remat, precision)
        else:
            plain = _gathering_apart(scaled, zero, tensors, axes, remat, precision)
    step = _reduced(
        plain,
        zero,
        microbatches,
        gathers_once=pipe is not None,
        is_coded=scattering is not None,
    )
    step = _then(step, sequence.sum) if sequence else step
    if expert is not None:
        is_cut = [expert.axis in tensor.axes for tensor in tensors]
        step = _then(step, functools.partial(expert.sum_but, is_cut))
    return _shards(step, zero, scattering)


def _shards(step: Step, zero: Zero | None, scattering: Scattering | None) -> Shards:
    remember, scatter = _scattered(scattering)
    if zero is None or zero.stage == 3:
        return Shards(_same, _same, _seen(step), remember, scatter)
    return Shards(
        own=lambda params: _over_leaves(zero.own, params),
        keep=lambda owned: _over_leaves(zero.gather, owned),
        gradient=_seen(step, lambda owned: _over_leaves(zero.gather, owned)),
        remember=remember,
        scatter=scatter,
    )


def _scattered(scattering: Scattering | None) -> tuple[Any, Any]:
    """Returns how gradients are scattered with what was lost; nothing where not."""
    if scattering is None:
        return lambda params: {}, lambda gradient, lost: (gradient, {})
    key = scattering.key

    def remember(params: Params) -> Memory:
        return {key: scattering.init(jax.tree.leaves(params)[0].dtype)}

    def scatter(gradient: Params, lost: Memory) -> tuple[Params, Memory]:
        leaves, tree = jax.tree.flatten(gradient)
        shards, left = scattering.mean(leaves, lost[key])
        return jax.tree.unflatten(tree, shards), {key: left}

    return remember, scatter


def _reduced(
    plain: Step,
    zero: Zero | None,
    microbatches: int,
    *,
    gathers_once: bool,
    is_coded: bool,
) -> Step:
    """Adds microbatches up, and gives each device its shard of everyone's sum.

    A gradient that is coded is left whole, and each device's own.

    Args:
        plain: (parameters, batch) -> (loss, gradient).
        zero: The shards.
        microbatches: How many.
        gathers_once: Whether stage 3 gathers before all of them, for a pipeline.
        is_coded: Whether gradients cross in a code, once a step.
    """
    step = accumulated(plain, microbatches)
    if zero is None:
        return step
    gathers_once = gathers_once and zero.stage == 3
    if gathers_once:
        step = _gathered_first(step, zero)
    if is_coded:
        return step
    if zero.stage == 3 and not gathers_once:
        return _then(step, zero.sum_whole)
    if zero.stage == 2:
        return accumulated(_then(plain, zero.reduce), microbatches)
    return _then(step, zero.reduce)


def _gathered_first(whole: Step, zero: Zero) -> Step:
    """Stage 3 around a pipeline: parameters are gathered before its ticks."""

    def step(owned: Params, batch: Batch) -> tuple[jax.Array, Params]:
        return whole(_over_leaves(zero.gather, owned), batch)

    return step


def loss_of(axes: Sequence[MeshAxis], task: Task) -> Loss:
    """Returns the loss of a device's part of the parameters.

    Raises:
        ValueError: If an axis cuts layers, tokens, experts or inputs and the task
            cannot say how.
    """
    spread = _spread_of(axes)
    if spread == WHOLE:
        return task.loss
    if task.spread is None:
        [first, *_] = [group for group in spread if group is not None]
        word = first.scope.rpartition(".")[2]
        raise ValueError(
            f"`{word} over {first.axis}` cuts the {_CUT[word]} of "
            "a built-in model, and this model is the caller's own: use `zero`, or a "
            "model of the language"
        )
    return task.spread(spread)


def _spread_of(axes: Sequence[MeshAxis]) -> Spread:
    return Spread(
        tensor=_group_of(axes, words.Tensor),
        sequence=_sequence_of(axes),
        expert=_expert_of(axes),
        features=_group_of(axes, words.Features),
    )


def _group_of(axes: Sequence[MeshAxis], kind: type) -> Group | None:
    for axis in axes:
        if isinstance(axis.strategy, kind) and axis.size > 1:
            return Group(axis.name, axis.size, SCOPE + scope_of(axis))
    return None


def _sequence_of(axes: Sequence[MeshAxis]) -> TokenGroup | None:
    for axis in axes:
        if isinstance(axis.strategy, words.Sequence) and axis.size > 1:
            scope = SCOPE + scope_of(axis)
            return TokenGroup(axis.name, axis.size, axis.strategy.method, scope)
    return None


def _expert_of(axes: Sequence[MeshAxis]) -> ExpertGroup | None:
    group = _group_of(axes, words.Expert)
    return ExpertGroup(*group) if group else None


def _same(params: Params) -> Params:
    return params


def _over_leaves(change: Callable[[list[Any]], list[Any]], params: Params) -> Params:
    leaves, tree = jax.tree.flatten(params)
    return jax.tree.unflatten(tree, change(leaves))


def _seen(
    step: Step, whole: Callable[[Params], Params] = _same
) -> Callable[[Params, Params | None, Batch], tuple[jax.Array, Params]]:
    """Takes the gradient at the parameters, or where a rule looks instead."""

    def gradient(
        kept: Params, seen: Params | None, batch: Batch
    ) -> tuple[jax.Array, Params]:
        return step(kept if seen is None else whole(seen), batch)

    return gradient


def _then(step: Step, change: Callable[[list[Any]], list[Any]]) -> Step:
    def changed(params: Params, batch: Batch) -> tuple[jax.Array, Params]:
        value, gradient = step(params, batch)
        return value, _over_leaves(change, gradient)

    return changed


def _plain(loss: Scaled) -> Step:
    def step(params: Params, batch: Batch) -> tuple[jax.Array, Params]:
        gradient, value = jax.grad(loss, has_aux=True)(params, batch)
        return value, gradient

    return step


def _scaled(loss: Loss, parts: int) -> Scaled:
    """Divides before gradients are added up, and gives the loss as it is beside."""

    def scaled(params: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
        value = loss(params, batch)
        return (value * (1 / parts) if parts > 1 else value), value

    return scaled


def _gathering(scaled: Scaled, zero: Zero, remat: str, precision: str) -> Step:
    """Stage 3: parameters are gathered inside, so the transpose scatters."""
    gather = zero.gather_narrow if precision == "bf16" else zero.gather

    def inside(owned: Params, batch: Batch) -> tuple[jax.Array, jax.Array]:
        return scaled(_over_leaves(gather, owned), batch)

    return _plain(zero.forgetting(inside, remat))


def _gathering_apart(
    scaled: Scaled,
    zero: Zero,
    tensors: Sequence[TensorSpec],
    axes: Sequence[MeshAxis],
    remat: str,
    precision: str,
) -> Step:
    """Stage 3 whose gradients are coded: the transpose leaves them whole.

    They are this device's own, and held whole until they are coded.
    """
    gather = zero.gather_narrow if precision == "bf16" else zero.gather
    sizes = {each.name: each.size for each in axes if each.name != zero.axis}
    shapes = [local_tensor(tensor, {**sizes, zero.axis: 1}).shape for tensor in tensors]

    def inside(
        wholes: list[Any], owned: Params, batch: Batch
    ) -> tuple[jax.Array, jax.Array]:
        found = _over_leaves(lambda x: zero.gather_for(gather, x, wholes), owned)
        return scaled(found, batch)

    differentiated = jax.grad(zero.forgetting(inside, remat), has_aux=True)

    def step(owned: Params, batch: Batch) -> tuple[jax.Array, Params]:
        leaves, tree = jax.tree.flatten(owned)
        pairs = zip(shapes, leaves, strict=True)
        wholes = [jnp.zeros(shape, leaf.dtype) for shape, leaf in pairs]
        gradient, value = differentiated(wholes, owned, batch)
        return value, jax.tree.unflatten(tree, gradient)

    return step
