"""Build: scheme and task -> program."""

import functools
import math
from collections.abc import Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from diamond.compiler.compat import make_mesh
from diamond.compiler.coupling import refuse_coupled
from diamond.compiler.executables import BatchShapes, Executables
from diamond.compiler.flows import flows_of
from diamond.compiler.overlap import Overlapped
from diamond.compiler.ownership import owned_of
from diamond.compiler.parallelism.cuts import stored, with_cuts
from diamond.compiler.parallelism.ensemble import check_consolidation
from diamond.compiler.parallelism.features import with_columns_cut
from diamond.compiler.parallelism.sequence import parts_of_tokens
from diamond.compiler.parallelism.staging import microbatches_of
from diamond.compiler.passes.begin import Shapes, axes_of
from diamond.compiler.passes.pipeline import make_plan
from diamond.compiler.plan import MeshAxis, Plan, TensorSpec, local_tensor
from diamond.compiler.program import Program
from diamond.compiler.sizes import bytes_of
from diamond.compiler.task import Task
from diamond.compiler.twins import can_overlap, halves
from diamond.dsl import vocabulary as words
from diamond.dsl.legality.finding import near_multiples
from diamond.dsl.vocabulary import ParameterServer, Scheme
from diamond.dsl.vocabulary.tables import word_of


def build(
    scheme: Scheme,
    task: Task,
    batch_shapes: BatchShapes,
    devices: Sequence[jax.Device] | None = None,
    *,
    overlap: bool = False,
) -> Program:
    """Compiles a scheme for a mesh of devices.

    Args:
        scheme: The scheme, checked.
        task: What is trained.
        batch_shapes: Shape and element type of each array of a global batch.
        devices: The devices; jax's own where not given. The first ones are used.
        overlap: Whether means that are used later than they are formed are formed on
            devices of their own, beside the next steps: as many again, after those
            that compute.

    Raises:
        SchemeError: If the scheme speaks of tensors that the model does not have.
        ValueError: If there are fewer devices than the mesh needs, the batch does not
            divide among them, or no exchange can overlap.
    """
    plan = plan_of(scheme, task, batch_shapes)
    if overlap and not can_overlap(plan):
        raise ValueError(
            f"nothing of `{plan.name}` can overlap: `pipelined` and `local` with a "
            "delay use a mean later than it is formed, by an all-reduce, where XLA's "
            "partitioner has no axis"
        )
    found = list(jax.devices() if devices is None else devices)
    needed = plan.devices * (2 if overlap else 1)
    if len(found) < needed:
        mesh_text = " x ".join(f"{axis.name} {axis.size}" for axis in plan.axes)
        twice = ", each with a twin," if overlap else ""
        raise ValueError(
            f"the mesh ({mesh_text}){twice} needs {needed} devices, "
            f"but there are {len(found)}; for virtual ones on a CPU, set XLA_FLAGS="
            f"--xla_force_host_platform_device_count={needed} before jax starts"
        )
    if not overlap:
        mesh = _mesh(plan, found)
        executables = Executables(plan, task, mesh, batch_shapes)
    else:
        computing, carrying = halves(found[:needed])
        mesh = _mesh(plan, computing)
        twin = _mesh(plan, carrying)
        executables = Overlapped(plan, task, mesh, twin, batch_shapes)
    return Program(scheme, task, plan, mesh, executables)


def _mesh(plan: Plan, devices: list[jax.Device]) -> Mesh:
    sizes = tuple(axis.size for axis in plan.axes) or (1,)
    names = tuple(axis.name for axis in plan.axes) or ("device",)
    return make_mesh(sizes, names, devices[: math.prod(sizes)])


def plan_of(scheme: Scheme, task: Task, batch_shapes: BatchShapes) -> Plan:
    """Makes the plan of a scheme, without any device.

    Raises:
        SchemeError: If the scheme speaks of tensors that the model does not have.
        ValueError: If the batch does not divide among the members.
    """
    axes = axes_of(scheme)
    members = math.prod(axis.size for axis in axes if axis.splits_batch)
    batch = next(iter(batch_shapes.values())).shape[0]
    parts = members * scheme.train.accumulate * microbatches_of(axes)
    if batch % parts:
        times = f" x {parts // members} microbatches" if parts > members else ""
        raise ValueError(
            f"a batch of {batch} does not divide by the {members} members of the "
            f"mesh{times}: take {batch - batch % parts or parts} or "
            f"{batch + parts - batch % parts}"
        )
    check_consolidation(axes, task, batch_shapes)
    share = {
        name: jax.ShapeDtypeStruct((batch // members, *shape.shape[1:]), shape.dtype)
        for name, shape in batch_shapes.items()
    }
    return make_plan(scheme, _shapes(scheme, axes, task, share, batch))


def _with_tokens_cut(axes: Sequence[MeshAxis], share: BatchShapes) -> BatchShapes:
    """Returns the shapes of a share of which each device has some tokens only.

    Raises:
        ValueError: If an example has no row of tokens, or one that does not divide.
    """
    for axis in axes:
        if isinstance(axis.strategy, words.Sequence):
            cut = functools.partial(_tokens_cut, axis, axis.strategy.method)
            share = {name: cut(name, shape) for name, shape in share.items()}
    return share


def _tokens_cut(
    axis: MeshAxis, method: str, name: str, shape: jax.ShapeDtypeStruct
) -> jax.ShapeDtypeStruct:
    if axis.size == 1:
        return shape
    parts = parts_of_tokens(axis.size, method)
    over = f"`sequence(method = {method}) over {axis.name}`"
    if len(shape.shape) < 2:
        raise ValueError(
            f"{over} cuts rows of tokens, and an example's `{name}` is a single value"
        )
    if shape.shape[1] % parts:
        raise ValueError(
            f"{over} cuts {shape.shape[1]} tokens into {parts} equal chunks: take "
            f"{near_multiples(shape.shape[1], parts)} tokens an example"
        )
    examples, tokens, *rest = shape.shape
    return jax.ShapeDtypeStruct((examples, tokens // axis.size, *rest), shape.dtype)


def _shapes(
    scheme: Scheme,
    axes: tuple[MeshAxis, ...],
    task: Task,
    share: BatchShapes,
    batch: int,
) -> Shapes:
    """Traces a task whose devices get such a share of a batch each."""
    params = _params(task)
    tensors = with_cuts(_tensors(params, task.dims), axes)
    sizes = {axis.name: axis.size for axis in axes}
    _refuse_coupled(scheme, task, params)
    local = tuple(local_tensor(tensor, sizes) for tensor in tensors)
    kept = [local_tensor(stored(tensor, axes), sizes) for tensor in tensors]
    tokens = _with_tokens_cut(axes, share)
    here = with_columns_cut(axes, tokens)
    owned = owned_of(scheme, local, _like(params, local))
    optimizer = jax.eval_shape(task.optimizer.init, owned)
    return Shapes(
        tensors=tensors,
        flows=flows_of(axes, tensors, task, _like(params, kept), here, scheme.train),
        optimizer=task.optimizer_text,
        optimizer_tensors=_tensors(optimizer, {}),
        optimizer_bytes=bytes_of(optimizer),
        batch=batch,
        batch_bytes=bytes_of(here),
        flops=_flops(task, params, share, bytes_of(tokens) / bytes_of(share)),
    )


def _refuse_coupled(scheme: Scheme, task: Task, params: Any) -> None:
    """Holds an optimizer of the caller's own against what cuts the parameters."""
    if task.optimizer_text is None:
        return
    cut = [
        f"`{word_of(p.strategy)} over {p.axis}`"
        for p in scheme.parallelism
        if not isinstance(p.strategy, words.Ensemble)
    ]
    served = [
        f"`parameter_server` over `{block.axis}`"
        for block in scheme.replicas
        if isinstance(block.centralization, ParameterServer)
    ]
    for where in (cut + served)[:1]:
        refuse_coupled(task.optimizer, params, flat=where in served, where=where)


def _like(params: Any, tensors: Sequence[TensorSpec]) -> Any:
    """Returns a tree like the parameters, with the shapes of some tensors."""
    leaves, tree = jax.tree.flatten(params)
    return jax.tree.unflatten(
        tree,
        [
            jax.ShapeDtypeStruct(tensor.shape, leaf.dtype)
            for leaf, tensor in zip(leaves, tensors, strict=True)
        ],
    )


def tensors_of(task: Task) -> tuple[TensorSpec, ...]:
    """Returns the parameters of a task's model, in the tree's order."""
    return _tensors(_params(task), task.dims)


def _params(task: Task) -> Any:
    key = jax.eval_shape(lambda: jax.random.key(0))
    return jax.eval_shape(task.init, key)


def _tensors(params: Any, dims: Any) -> tuple[TensorSpec, ...]:
    named = jax.tree_util.tree_flatten_with_path(params)[0]
    words = jax.tree.leaves(dims, is_leaf=lambda node: isinstance(node, tuple))
    words = words if dims else [()] * len(named)
    return tuple(
        TensorSpec(_path(path), leaf.shape, str(leaf.dtype), tuple(map(str, dim)))
        for (path, leaf), dim in zip(named, words, strict=True)
    )


def _path(path: tuple[Any, ...]) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


def _flops(task: Task, params: Any, share: Any, part: float) -> float | None:
    """Counts the operations of one member's loss and gradient, before optimization.

    Of a row of tokens that is cut, each device does an equal part.
    """
    lowered = jax.jit(jax.value_and_grad(task.loss)).lower(params, share)
    cost = lowered.cost_analysis()
    return None if cost is None else float(cost["flops"]) * part
