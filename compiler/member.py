"""What one member does in one step: the body of the lowered program.

1. the gradient, where the active rules look at the parameters
2. exchanges of gradients, from the innermost axis outwards
3. the optimizer; a server's own shard of it, where there is a server
4. exchanges of parameters, from the innermost axis outwards
5. the rules that met learn where all axes together put the copy
"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from diamond.compiler.agreements import Active, Part
from diamond.compiler.exchange.contract import Leaves, Server, Tree
from diamond.compiler.meeting import kept_after_meeting
from diamond.compiler.plan import LANDING, Subject
from diamond.compiler.scopes import SCOPE
from diamond.compiler.shards import Shards
from diamond.compiler.state import Arrays
from diamond.compiler.task import Batch, Params, Task


class Values(NamedTuple):
    """Leaves on their way through the exchanges, and the states these keep.

    Attributes:
        leaves: Gradients, and after the update parameters.
        rules: As in the state.
        mixers: As in the state.
    """

    leaves: Leaves
    rules: dict[str, Tree]
    mixers: dict[str, Tree]


def fresh(
    params: Params, task: Task, shards: Shards, parts: tuple[Part, ...]
) -> Arrays:
    """Returns a device's state before the first step."""
    mine = shards.own(params)
    leaves = jax.tree.leaves(mine)
    rules: dict[str, Tree] = {}
    mixers = shards.remember(params)
    for part in parts:
        taken = _taken(leaves, part)
        mixers.setdefault(part.memory, part.mixer.init(taken))
        like = [_server(part).own(taken)] if part.mixer.server else taken
        rules.setdefault(part.clause, part.rule.init(taken, like))
    server = server_of(parts)
    owned = mine if server is None else [server.own(leaves)]
    return Arrays(params, task.optimizer.init(owned), rules, mixers)


def begun(local: Arrays, shards: Shards, parts: list[Part]) -> Arrays:
    """Returns a device's state where the agreements of some exchanges begin."""
    leaves = jax.tree.leaves(shards.own(local.params))
    rules, mixers = dict(local.rules), dict(local.mixers)
    for part in parts:
        mine = _taken(leaves, part)
        mixers[part.memory] = part.mixer.begin(mine, mixers[part.memory])
        agreement = part.exchange.agreement
        if agreement.start == agreement.clause_start:
            rules[part.clause] = part.rule.begin(mine, rules[part.clause])
    return local._replace(rules=rules, mixers=mixers)


def member_step(
    local: Arrays, batch: Batch, task: Task, shards: Shards, active: Active
) -> tuple[Arrays, jax.Array]:
    """Takes one device's step.

    Args:
        local: The device's state.
        batch: Its share of the batch.
        task: What is trained.
        shards: How the devices that hold one copy compute with it.
        active: The exchanges that are due, with their turns, in the plan's order.

    Returns:
        The next state, and the loss before the update.
    """
    loss, gradients = differentiated(local, batch, shards, active)
    return moved(local, gradients, task, shards, active), loss


def of(active: Active, subject: Subject) -> Active:
    """Returns the exchanges of gradients, or those of parameters."""
    return [pair for pair in active if pair[0].exchange.subject == subject]


def seen(local: Arrays, shards: Shards, active: Active) -> Params | None:
    """Returns where rules look at the parameters, as owned; None where as they are."""
    x, tree = jax.tree.flatten(shards.own(local.params))
    at = _viewed(x, local, of(active, "gradients"))
    return None if at is x else jax.tree.unflatten(tree, at)


def differentiated(
    local: Arrays, batch: Batch, shards: Shards, active: Active
) -> tuple[jax.Array, Params]:
    """Returns the loss and its gradient, where rules look at the parameters."""
    return shards.gradient(local.params, seen(local, shards, active), batch)


def scattered(local: Arrays, gradients: Params, shards: Shards) -> Values:
    """Gives each device its shard of gradients that strategies send in a code."""
    gradients, lost = shards.scatter(gradients, local.mixers)
    mixers = {**local.mixers, **lost}
    return Values(jax.tree.leaves(gradients), local.rules, mixers)


def moved(
    local: Arrays, gradients: Params, task: Task, shards: Shards, active: Active
) -> Arrays:
    """Returns a device's next state, given its gradients as they come."""
    values = scattered(local, gradients, shards)
    values = exchanged(values, local, shards, of(active, "gradients"))
    return finished(values, local, task, shards, active)


def exchanged(values: Values, local: Arrays, shards: Shards, inner: Active) -> Values:
    """Exchanges gradients."""
    x = jax.tree.leaves(shards.own(local.params))
    for part, turn in inner:
        with jax.named_scope(f"{SCOPE}{part.exchange.name}"):
            values = _exchange(values, x, part, turn)
    return values


def finished(
    values: Values, local: Arrays, task: Task, shards: Shards, active: Active
) -> Arrays:
    """Updates with the gradients that came of it, and exchanges parameters."""
    inner, outer = of(active, "gradients"), of(active, "parameters")
    owned = shards.own(local.params)
    x, tree = jax.tree.flatten(owned)
    params, optimizer = _updated(values.leaves, owned, local.optimizer, task, inner)
    values = values._replace(leaves=jax.tree.leaves(params))

    def begin(leaves: Leaves) -> Tree:
        server = server_of([part for part, _ in inner])
        whole = jax.tree.unflatten(tree, leaves)
        return task.optimizer.init(whole if server is None else [server.own(leaves)])

    values, optimizer = _met(values, x, optimizer, begin, outer)
    values = _rebased(values, outer)
    params = shards.keep(jax.tree.unflatten(tree, values.leaves))
    return Arrays(params, optimizer, values.rules, values.mixers)


def server_of(parts: Sequence[Part]) -> Server | None:
    """Returns the server that keeps the optimizer's state, if there is one."""
    return next((p.mixer.server for p in parts if p.mixer.server), None)


def _viewed(x: Leaves, local: Arrays, inner: Active) -> Leaves:
    for part, _ in inner:
        if part.rule.view is not None:
            x = part.rule.view(x, local.rules[part.clause])
    return x


def _exchange(values: Values, x: Leaves, part: Part, turn: int) -> Values:
    mine, here = _taken(values.leaves, part), _taken(x, part)
    rule, mixer = values.rules[part.clause], values.mixers[part.memory]
    if turn == LANDING:
        made, rule = _landed(mine, rule, part)
    else:
        offered = part.rule.offer(mine, here, rule)
        mean, mixer = part.mixer.mean(offered, mixer, turn)
        made, rule = part.rule.accept(mine, mean, here, rule)
    return Values(
        made if part.mixer.server else _put(values.leaves, made, part),
        {**values.rules, part.clause: rule},
        {**values.mixers, part.memory: mixer},
    )


def _landed(mine: Leaves, rule: Tree, part: Part) -> tuple[Leaves, Tree]:
    flight = part.rule.flight
    assert flight is not None
    (oldest, *others), rest = flight.lift(rule)
    made, rest = flight.use(mine, oldest, rest)
    return made, flight.put((*others, oldest), rest)


def _updated(
    gradients: Leaves, params: Params, optimizer: Tree, task: Task, inner: Active
) -> tuple[Params, Tree]:
    """Takes the optimizer's step; a server's, on the shard that this member owns."""
    leaves, tree = jax.tree.flatten(params)
    serving = [part for part, _ in inner if part.mixer.server]
    if not serving:
        given = jax.tree.unflatten(tree, gradients)
        updates, after = task.optimizer.update(given, optimizer, params)
        return optax.apply_updates(params, updates), _settled(optimizer, after, inner)
    server = _server(serving[0])
    owned = [server.own(leaves)]
    updates, after = task.optimizer.update(gradients, optimizer, owned)
    after = _settled(optimizer, after, inner)
    [shard] = optax.apply_updates(owned, updates)
    with jax.named_scope(f"{SCOPE}{serving[0].exchange.name}"):
        pulled = server.pull(jnp.asarray(shard), leaves)
    return jax.tree.unflatten(tree, pulled), after


def _settled(before: Tree, after: Tree, inner: Active) -> Tree:
    for part, _ in inner:
        if part.mixer.settle is not None:
            after = part.mixer.settle(before, after)
    return after


def _met(
    values: Values, x: Leaves, optimizer: Tree, begin: Any, outer: Active
) -> tuple[Values, Tree]:
    """Exchanges parameters, and does what a rule says with the optimizer's state.

    What an axis outside begins afresh in the same step is not averaged before.
    """
    for place, (part, turn) in enumerate(outer):
        after = [other.exchange for other, _ in outer[place + 1 :]]
        with jax.named_scope(f"{SCOPE}{part.exchange.name}"):
            values = _exchange(values, x, part, turn)
            if not any(other.begins_afresh for other in after):
                fresh = functools.partial(begin, values.leaves)
                optimizer = kept_after_meeting(part, optimizer, fresh)
    return values, optimizer


def _rebased(values: Values, outer: Active) -> Values:
    """Tells the rules that met where the copy is, and who was moved after it met."""
    rules, mixers = dict(values.rules), dict(values.mixers)
    for place, (part, turn) in enumerate(outer):
        mine = _taken(values.leaves, part)
        if turn != LANDING:
            rules[part.clause] = part.rule.rebase(mine, rules[part.clause])
        if any(other.wire.axis != part.wire.axis for other, _ in outer[place:]):
            rules[part.clause] = part.rule.follow(rules[part.clause])
            mixers[part.memory] = part.mixer.follow(mine, mixers[part.memory])
    return values._replace(rules=rules, mixers=mixers)


def _server(part: Part) -> Server:
    assert part.mixer.server is not None
    return part.mixer.server


def _taken(leaves: Leaves, part: Part) -> Leaves:
    return [leaves[place] for place in part.exchange.leaves]


def _put(leaves: Leaves, made: Leaves, part: Part) -> Leaves:
    changed = list(leaves)
    for place, leaf in zip(part.exchange.leaves, made, strict=True):
        changed[place] = leaf
    return changed
