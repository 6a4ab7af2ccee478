"""Begin: scheme and shapes -> the first plan, before any decision is taken."""

from typing import Any, NamedTuple

from diamond.compiler.plan import Agreement, MeshAxis, Plan, TensorSpec
from diamond.dsl.emit import format_term
from diamond.dsl.vocabulary import Phase, Replicas, Scheme, phases_of


class Shapes(NamedTuple):
    """What the compiler learns from tracing a task, without running it.

    Attributes:
        tensors: The parameters, in the tree's order.
        optimizer: What the plan calls the optimizer; the scheme's words where None.
        optimizer_bytes: Bytes of one copy of the optimizer's state.
        batch: Examples a step, over all members.
        batch_bytes: Bytes of one member's share of a batch.
        flops: Operations of one member's loss and gradient, or None.
    """

    tensors: tuple[TensorSpec, ...]
    optimizer: str | None
    optimizer_bytes: int
    batch: int
    batch_bytes: int
    flops: float | None


def begin(scheme: Scheme, shapes: Shapes) -> Plan:
    """Returns a plan that holds what the scheme and the shapes say, and no more."""
    links = {link.axis: link for link in scheme.hardware}
    axes = []
    for axis in scheme.mesh:
        link = links.get(axis.name)
        bandwidth = link.bandwidth if link else None
        latency = link.latency if link else None
        axes.append(MeshAxis(axis.name, axis.size, False, bandwidth, latency))
    order = [axis.name for axis in scheme.mesh]
    blocks = sorted(scheme.replicas, key=lambda block: order.index(block.axis))
    return Plan(
        name=scheme.name,
        steps=scheme.train.steps,
        batch=shapes.batch,
        precision=scheme.train.precision,
        optimizer=shapes.optimizer or format_term(scheme.train.optimizer),
        optimizer_bytes=shapes.optimizer_bytes,
        batch_bytes=shapes.batch_bytes,
        flops=shapes.flops,
        axes=tuple(axes),
        tensors=shapes.tensors,
        agreements=tuple(each for block in blocks for each in agreements_of(block)),
    )


def agreements_of(block: Replicas) -> tuple[Agreement, ...]:
    """Merges the schedules of one axis's three choices into one time line.

    Example:
        >>> from diamond.dsl.vocabulary import Int8, NoCompression, Scheduled
        >>> codecs = Scheduled(((NoCompression(), 10), (Int8(), None)))
        >>> merged = agreements_of(Replicas("host", compression=codecs))
        >>> [(each.start, each.stop) for each in merged]
        [(0, 10), (10, None)]
    """
    who: tuple[Phase[Any], ...] = phases_of(block.centralization)
    when: tuple[Phase[Any], ...] = phases_of(block.consistency)
    form: tuple[Phase[Any], ...] = phases_of(block.compression)
    starts = sorted({phase.start for phase in (*who, *when, *form)})
    merged = []
    for start, stop in zip(starts, [*starts[1:], None], strict=True):
        clause = _at(when, start)
        merged.append(
            Agreement(
                axis=block.axis,
                start=start,
                stop=stop,
                clause=clause,
                clause_start=when[clause].start,
                centralization=who[_at(who, start)].value,
                consistency=when[clause].value,
                compression=form[_at(form, start)].value,
            )
        )
    return tuple(merged)


def _at(phases: tuple[Phase[Any], ...], step: int) -> int:
    """Returns the index of the phase that holds at a step."""
    return max(index for index, phase in enumerate(phases) if phase.start <= step)
