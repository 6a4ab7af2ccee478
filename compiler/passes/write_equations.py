"""Write equations: the step of this scheme in symbols."""

import math
from collections.abc import Iterator
from dataclasses import replace

from diamond.compiler.agreements import Part, parts_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.parallelism.cuts import is_gathered_at_once
from diamond.compiler.parallelism.ensemble import ensemble_axis
from diamond.compiler.parallelism.features import columns_axis
from diamond.compiler.parallelism.scattering import scattering_of
from diamond.compiler.parallelism.staging import microbatches_of
from diamond.compiler.plan import MeshAxis, Plan
from diamond.dsl import vocabulary as words


def write_equations(plan: Plan) -> Plan:
    """Writes gradient, exchanges, optimizer and exchanges in the step's order."""
    parts = parts_of(plan, Tape().wire)
    lines = [f"g = gradient of the mean loss{_balance(plan)} at x over {_share(plan)}"]
    for axis in plan.axes:
        if isinstance(axis.strategy, words.Expert):
            lines += _experts(plan, axis, axis.strategy)
    shards = [axis for axis in plan.axes if isinstance(axis.strategy, words.Zero)]
    scattering = scattering_of(plan.axes, plan.tensors)
    if scattering is not None:
        lines += scattering.equations()
    else:
        lines += [
            f"g <- this device's shard of mean over {axis.name} of g" for axis in shards
        ]
    for part in parts:
        if part.exchange.subject == "gradients":
            lines += _exchange(part)
    lines.append(f"x <- {plan.optimizer} on g")
    for part in parts:
        if part.exchange.subject == "parameters":
            lines += _exchange(part)
    lines += [
        f"x <- the shards of x, put together over {axis.name}"
        for axis in shards
        if is_gathered_at_once(axis)
    ]
    return replace(plan, equations=(*lines, *_consolidated(plan)))


def _consolidated(plan: Plan) -> list[str]:
    """Says how the members of an ensemble are evaluated."""
    axis = ensemble_axis(plan.axes)
    if axis is None:
        return []
    assert isinstance(axis.strategy, words.Ensemble)
    if axis.strategy.consolidation == "vote":
        return [f"evaluated: the class that most members over {axis.name} predict"]
    return [f"evaluated: mean over {axis.name} of what each member predicts"]


def _experts(plan: Plan, axis: MeshAxis, term: words.Expert) -> Iterator[str]:
    """Says which tokens are routed together, and how much room they find."""
    together = plan.batch // (plan.shares * plan.accumulate)
    yield (
        f"T tokens of {together} examples are routed together, each to {term.top_k} of "
        f"{term.experts} experts"
    )
    room = f"ceil({term.capacity:g} x {term.top_k} T/{term.experts})"
    yield f"an expert takes {room} of them, T at most"
    if axis.size > 1:
        yield f"g <- mean over {axis.name} of g"


def _balance(plan: Plan) -> str:
    """Writes what keeps experts evenly busy."""
    terms = [axis.strategy for axis in plan.axes]
    weights = [term.balance for term in terms if isinstance(term, words.Expert)]
    return f" + {weights[0]:g} imbalance of experts" if any(weights) else ""


def _share(plan: Plan) -> str:
    each = plan.batch // plan.shares
    parts = plan.accumulate * microbatches_of(plan.axes)
    text = f", in {parts} microbatches of {each // parts}" if parts > 1 else ""
    tokens = math.prod(axis.size for axis in plan.axes if axis.splits_tokens)
    row = f", 1/{tokens} of the tokens of each" if tokens > 1 else ""
    columns = columns_axis(plan.axes)
    part = f", 1/{columns.size} of the columns of each" if columns else ""
    return f"{each} of {plan.batch} examples{row}{part}{text}"


def _exchange(part: Part) -> list[str]:
    lines = [f"{part.exchange.name}, {_when(part)}:"]
    for equation in part.rule.equations:
        left, mean, right = equation.partition("mean[")
        if not mean:
            lines.append(f"  {equation}")
            continue
        inner = right.removesuffix("]")
        symbol = left.replace("<-", "").replace("=", "").strip()
        argument = inner if len(inner) == 1 else f"({inner})"
        for line in part.mixer.equations:
            text = line.replace("{y} =", left.rstrip()).replace("{x}", argument)
            lines.append("  " + text.replace("{y}", symbol))
    return lines + _kept(part)


def _kept(part: Part) -> list[str]:
    """Says what becomes of the optimizer's state where copies meet."""
    how = {"average": "its mean over", "reset": "begun afresh on"}
    keeping = part.rule.keeping
    if keeping == "keep":
        return []
    return [f"  optimizer's state <- {how[keeping]} {part.exchange.agreement.axis}"]


def _when(part: Part) -> str:
    agreement = part.exchange.agreement
    text = "every step"
    if part.exchange.every > 1:
        text = f"every {part.exchange.every} steps"
    if agreement.start:
        text += f" from step {agreement.start}"
    if agreement.stop is not None:
        text += f" until step {agreement.stop}"
    return text
