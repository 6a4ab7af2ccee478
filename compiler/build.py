"""Build: scheme and task -> program."""

import math
from collections.abc import Sequence
from typing import Any

import jax

from diamond.compiler.compat import make_mesh
from diamond.compiler.executables import BatchShapes
from diamond.compiler.ownership import owned_of
from diamond.compiler.passes.begin import Shapes
from diamond.compiler.passes.pipeline import make_plan
from diamond.compiler.plan import Plan, TensorSpec
from diamond.compiler.program import Program
from diamond.compiler.sizes import bytes_of
from diamond.compiler.task import Task
from diamond.dsl.vocabulary import Scheme


def build(
    scheme: Scheme,
    task: Task,
    batch_shapes: BatchShapes,
    devices: Sequence[jax.Device] | None = None,
) -> Program:
    """Compiles a scheme for a mesh of devices.

    Args:
        scheme: The scheme, checked.
        task: What is trained.
        batch_shapes: Shape and element type of each array of a global batch.
        devices: The devices; jax's own where not given. The first ones are used.

    Raises:
        SchemeError: If the scheme speaks of tensors that the model does not have.
        ValueError: If there are fewer devices than the mesh needs, or the batch
            does not divide among them.
    """
    plan = plan_of(scheme, task, batch_shapes)
    found = list(jax.devices() if devices is None else devices)
    if len(found) < plan.members:
        mesh_text = " x ".join(f"{axis.name} {axis.size}" for axis in plan.axes)
        raise ValueError(
            f"the mesh ({mesh_text}) needs {plan.members} devices, "
            f"but there are {len(found)}; for virtual ones on a CPU, set XLA_FLAGS="
            f"--xla_force_host_platform_device_count={plan.members} before jax starts"
        )
    sizes = tuple(axis.size for axis in plan.axes) or (1,)
    names = tuple(axis.name for axis in plan.axes) or ("device",)
    mesh = make_mesh(sizes, names, found[: math.prod(sizes)])
    return Program(scheme, task, plan, mesh, batch_shapes)


def plan_of(scheme: Scheme, task: Task, batch_shapes: BatchShapes) -> Plan:
    """Makes the plan of a scheme, without any device.

    Raises:
        SchemeError: If the scheme speaks of tensors that the model does not have.
        ValueError: If the batch does not divide among the members.
    """
    members = math.prod(axis.size for axis in scheme.mesh)
    batch = next(iter(batch_shapes.values())).shape[0]
    if batch % members:
        raise ValueError(
            f"a batch of {batch} does not divide by the {members} members of the "
            f"mesh: take {batch - batch % members or members} or "
            f"{batch + members - batch % members}"
        )
    return make_plan(scheme, _shapes(scheme, task, batch_shapes, batch // members))


def _shapes(
    scheme: Scheme, task: Task, batch_shapes: BatchShapes, examples: int
) -> Shapes:
    """Traces a task whose members get so many examples each."""
    params = _params(task)
    tensors = _tensors(params, task.dims)
    owned = owned_of(scheme, tensors, params)
    optimizer = jax.eval_shape(task.optimizer.init, owned)
    share = {
        name: jax.ShapeDtypeStruct((examples, *shape.shape[1:]), shape.dtype)
        for name, shape in batch_shapes.items()
    }
    return Shapes(
        tensors=tensors,
        optimizer=task.optimizer_text,
        optimizer_tensors=_tensors(optimizer, {}),
        optimizer_bytes=bytes_of(optimizer),
        batch=next(iter(batch_shapes.values())).shape[0],
        batch_bytes=bytes_of(share),
        flops=_flops(task, params, share),
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


def _flops(task: Task, params: Any, share: Any) -> float | None:
    """Counts the operations of one member's loss and gradient, before optimization."""
    lowered = jax.jit(jax.value_and_grad(task.loss)).lower(params, share)
    cost = lowered.cost_analysis()
    return None if cost is None else float(cost["flops"])
