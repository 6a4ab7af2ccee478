"""The pipeline: every pass in order, with the verifier after each."""

from collections.abc import Callable, Sequence

from diamond.compiler.parallelism.scattering import scattering_of
from diamond.compiler.passes.begin import Shapes, axes_of, begin
from diamond.compiler.passes.bill_memory import bill_memory
from diamond.compiler.passes.mark_loose import mark_loose
from diamond.compiler.passes.place_exchanges import place_exchanges
from diamond.compiler.passes.route_exchanges import route_exchanges
from diamond.compiler.passes.write_equations import write_equations
from diamond.compiler.plan import Plan, TensorSpec
from diamond.compiler.verify import verify
from diamond.dsl.legality import Refusal, of_tensors
from diamond.dsl.legality.scattering import tensors_reached
from diamond.dsl.vocabulary import Scheme

PASSES: tuple[Callable[[Plan], Plan], ...] = (
    mark_loose,
    place_exchanges,
    route_exchanges,
    bill_memory,
    write_equations,
)


def make_plan(scheme: Scheme, shapes: Shapes) -> Plan:
    """Runs every pass over a scheme.

    Raises:
        SchemeError: If the scheme speaks of tensors that the model does not have.
        PlanError: If a pass broke the plan.
    """
    verify_tensors(scheme, shapes.tensors)
    _verify_scattering(scheme, shapes.tensors)
    plan = begin(scheme, shapes)
    verify(plan, after="begin")
    for step in PASSES:
        plan = step(plan)
        verify(plan, after=step.__name__)
    return plan


def verify_tensors(scheme: Scheme, tensors: Sequence[TensorSpec]) -> None:
    """Holds a scheme against the tensors of its model.

    Raises:
        SchemeError: If it speaks of tensors or layers that are not there.
    """
    found = tuple(of_tensors(scheme, [tensor.path for tensor in tensors]))
    if found:
        raise Refusal(found)


def _verify_scattering(scheme: Scheme, tensors: Sequence[TensorSpec]) -> None:
    """Holds a codec under `zero` against the tensors, once they are cut."""
    scattering = scattering_of(axes_of(scheme), tensors)
    if scattering is None:
        return
    coded = sum(len(lot.places) for lot in scattering.lots)
    found = tuple(tensors_reached(scheme, coded))
    if found:
        raise Refusal(found)
