"""Begin: scheme and shapes -> the first plan, before any decision is taken."""

from typing import NamedTuple

from diamond.compiler.plan import Flow, MeshAxis, Plan, TensorSpec
from diamond.compiler.timeline import agreements_of
from diamond.dsl.emit import format_term
from diamond.dsl.vocabulary import Scheme


class Shapes(NamedTuple):
    """What the compiler learns from tracing a task, without running it.

    Attributes:
        tensors: The parameters, in the tree's order, with their cuts.
        flows: What the cut-up model sends by itself.
        optimizer: What the plan calls the optimizer; the scheme's words where None.
        optimizer_tensors: The arrays of a device's optimizer's state, in the tree's
            order: a server's shard where there is one.
        optimizer_bytes: Bytes of the optimizer's state on one device.
        batch: Examples a step, over all members.
        batch_bytes: Bytes of one device's share of a batch.
        flops: Operations of one share's loss and gradient, or None.
    """

    tensors: tuple[TensorSpec, ...]
    flows: tuple[Flow, ...]
    optimizer: str | None
    optimizer_tensors: tuple[TensorSpec, ...]
    optimizer_bytes: int
    batch: int
    batch_bytes: int
    flops: float | None


def begin(scheme: Scheme, shapes: Shapes) -> Plan:
    """Returns a plan that holds what the scheme and the shapes say, and no more."""
    order = [axis.name for axis in scheme.mesh]
    blocks = sorted(scheme.replicas, key=lambda block: order.index(block.axis))
    return Plan(
        name=scheme.name,
        steps=scheme.train.steps,
        batch=shapes.batch,
        precision=scheme.train.precision,
        accumulate=scheme.train.accumulate,
        remat=scheme.train.remat,
        optimizer=shapes.optimizer or format_term(scheme.train.optimizer),
        optimizer_tensors=shapes.optimizer_tensors,
        optimizer_bytes=shapes.optimizer_bytes,
        batch_bytes=shapes.batch_bytes,
        flops=shapes.flops,
        axes=axes_of(scheme),
        tensors=shapes.tensors,
        flows=shapes.flows,
        agreements=tuple(each for block in blocks for each in agreements_of(block)),
        seed=scheme.train.seed,
    )


def axes_of(scheme: Scheme) -> tuple[MeshAxis, ...]:
    """Returns the mesh of a scheme: sizes, strategies and links."""
    links = {link.axis: link for link in scheme.hardware}
    strategies = {each.axis: each.strategy for each in scheme.parallelism}
    axes = []
    for axis in scheme.mesh:
        link = links.get(axis.name)
        axes.append(
            MeshAxis(
                name=axis.name,
                size=axis.size,
                bandwidth=link.bandwidth if link else None,
                latency=link.latency if link else None,
                strategy=strategies.get(axis.name),
            )
        )
    return tuple(axes)
