"""Training on a quadratic over the members of one axis, without a scheme.

Member i has at step t the loss  sum of (c v v / 2 - w_it v)  over the coordinates, so
its gradient is c v - w_it: a NumPy loop of a few lines says what a rule must do.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec

from diamond.compiler.agreements import Part
from diamond.compiler.exchange.centralization.allreduce import allreduce
from diamond.compiler.exchange.coded import coded
from diamond.compiler.exchange.compression.none import none
from diamond.compiler.exchange.contract import Rule
from diamond.compiler.exchange.wire import Wire, mesh_wire
from diamond.compiler.member import fresh, member_step
from diamond.compiler.plan import Agreement, Exchange
from diamond.compiler.shards import shards_of
from diamond.compiler.state import Arrays
from diamond.compiler.task import Task
from diamond.dsl.vocabulary import AllReduce, NoCompression, Synchronous

AXIS = "host"
LR = 0.25
SHAPES = ((2, 3), (3,))
SIZE = 9
START = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
CURVATURE = np.linspace(0.5, 1.5, SIZE, dtype=np.float32)
PULLS = np.random.default_rng(1).normal(size=(32, 8, SIZE)).astype(np.float32)


class Trained(NamedTuple):
    """What came of a training.

    Attributes:
        x: `[steps, members, SIZE]`, each member's parameters after each step.
        rule: The rule's last state, with the members as first dim.
    """

    x: np.ndarray
    rule: Any


def gradient(v: np.ndarray, step: int, member: int) -> np.ndarray:
    """Returns a member's gradient at v."""
    return CURVATURE * v - PULLS[step, member]


def trained(
    rule_of: Callable[[Wire], Rule],
    *,
    size: int = 4,
    steps: int = 12,
    optimizer: optax.GradientTransformation | None = None,
) -> Trained:
    """Trains with SGD and the rule that a function makes for a wire."""
    wire = mesh_wire(AXIS, size)
    part = _part(rule_of(wire), wire)
    task = _task(optimizer or optax.sgd(LR))
    whole = shards_of((), (), task)
    first = jax.tree.map(lambda leaf: jnp.stack([leaf] * size), _leaves(START))
    arrays = _mapped(lambda params: fresh(params, task, whole, (part,)), size)(first)
    run, seen = {}, []
    for step in range(steps):
        turn = part.exchange.turn_at(step)
        if turn not in run:
            active = [] if turn is None else [(part, turn)]
            run[turn] = _mapped(
                lambda a, pull, active=active: member_step(
                    a, {"pull": pull}, task, whole, active
                )[0],
                size,
            )
        arrays = run[turn](arrays, PULLS[step, :size])
        leaves = [np.asarray(leaf).reshape(size, -1) for leaf in arrays.params]
        seen.append(np.concatenate(leaves, axis=1))
    return Trained(np.stack(seen), arrays.rules["rule"])


def _mapped(body: Callable[..., Arrays], size: int) -> Callable[..., Arrays]:
    def one(*trees: Any) -> Any:
        mine = jax.tree.map(lambda leaf: leaf[0], trees)
        return jax.tree.map(lambda leaf: leaf[None], body(*mine))

    spec = PartitionSpec(AXIS)
    mesh = Mesh(jax.devices()[:size], (AXIS,))
    return jax.jit(
        jax.shard_map(one, mesh=mesh, in_specs=spec, out_specs=spec, check_vma=False)
    )


def _part(rule: Rule, wire: Wire) -> Part:
    agreement = Agreement(
        AXIS, 0, None, 0, 0, 0, 0, AllReduce(), Synchronous(), NoCompression()
    )
    exchange = Exchange(
        "host.test",
        rule.subject,
        rule.every,
        rule.every - 1,
        agreement,
        leaves=(0, 1),
        late=rule.late,
    )
    mixer = allreduce(wire=wire, compressor=coded(none(), wire.size))
    return Part(exchange, rule, mixer, wire, "rule", "mixer")


def _task(optimizer: optax.GradientTransformation) -> Task:
    def loss(params: Any, batch: Any) -> jax.Array:
        v = jnp.concatenate([leaf.reshape(-1) for leaf in params])
        return jnp.sum(CURVATURE * v * v / 2 - batch["pull"] * v)

    return Task(
        init=lambda key: _leaves(START),
        loss=loss,
        measure=lambda params, batch: {},
        report=dict,
        dims=None,
        optimizer=optimizer,
    )


def _leaves(vector: np.ndarray) -> list[jax.Array]:
    first, second = np.split(vector, [6])
    return [jnp.asarray(first).reshape(SHAPES[0]), jnp.asarray(second)]
