"""Twins: whether a wire lane helps, and which devices it takes."""

from collections.abc import Sequence

import jax

from diamond.compiler.agreements import parts_of
from diamond.compiler.lane import parts_aside
from diamond.compiler.plan import Plan
from diamond.dsl.vocabulary import Local, Pipelined, Scheme, phases_of


def is_late(scheme: Scheme) -> bool:
    """Whether a rule of a scheme uses means later than they are formed.

    Example:
        >>> from diamond.dsl.vocabulary import Axis, Replicas
        >>> replicas = (Replicas("host", consistency=Pipelined()),)
        >>> is_late(Scheme("two", mesh=(Axis("host", 2),), replicas=replicas))
        True
    """
    rules = [
        phase.value
        for replicas in scheme.replicas
        for phase in phases_of(replicas.consistency)
    ]
    return any(
        isinstance(rule, Pipelined) or (isinstance(rule, Local) and rule.delay > 0)
        for rule in rules
    )


def can_overlap(plan: Plan) -> bool:
    """Whether an exchange of a plan can be formed beside the next steps."""
    whole = not any(flow.by_partitioner for flow in plan.flows)
    return whole and bool(parts_aside(parts_of(plan)))


def halves(
    devices: Sequence[jax.Device],
) -> tuple[list[jax.Device], list[jax.Device]]:
    """Returns the devices that compute, and their twins.

    Raises:
        ValueError: If they are of several processes: gloo mixes up what two programs
            send at once.
    """
    if len({device.process_index for device in devices}) > 1:
        raise ValueError("overlap is for the devices of one process")
    half = len(devices) // 2
    return list(devices[:half]), list(devices[half:])
