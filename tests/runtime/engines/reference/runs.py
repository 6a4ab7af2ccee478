"""Short runs of the oracle, and the same loops written out by hand."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from diamond.compiler.task import Task
from diamond.dsl.vocabulary import (
    AllReduce,
    Axis,
    NoCompression,
    Replicas,
    Scheduled,
    Scheme,
    Synchronous,
    Train,
)
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.engines.reference.vectors import flatten
from tests.schemes import OPTIMIZERS, task_of, tiny_batch, tiny_task

SGD, MOMENTUM, ADAM, ADAMW = OPTIMIZERS


class On(NamedTuple):
    """An axis: how many members, and the three choices."""

    size: int
    rule: Any = Synchronous()
    codec: Any = NoCompression()
    who: Any = AllReduce()


def scheme_of(*axes, optimizer=SGD, precision="fp64"):
    names = [f"axis{i}" for i in range(len(axes))]
    return Scheme(
        "s",
        train=Train(optimizer=optimizer, steps=50, precision=precision),
        mesh=tuple(Axis(n, a.size) for n, a in zip(names, axes, strict=True)),
        replicas=tuple(
            Replicas(n, a.who, a.rule, a.codec)
            for n, a in zip(names, axes, strict=True)
        ),
    )


def engine_of(*axes, optimizer=SGD, precision="fp64", task=task_of):
    scheme = scheme_of(*axes, optimizer=optimizer, precision=precision)
    return ReferenceEngine(scheme, task(scheme))


def trained(engine, steps, state=None):
    state = engine.init(jax.random.key(0)) if state is None else state
    for _ in range(steps):
        state, _ = engine.step(state, tiny_batch(state.step))
    return state


def run(*axes, steps, optimizer=SGD):
    """Returns the parameters after some steps of training: an array [members, n]."""
    return members(trained(engine_of(*axes, optimizer=optimizer), steps))


def members(state):
    return np.stack([flatten(tree) for tree in state.params])


def then(first, steps, second):
    return Scheduled(((first, steps), (second, None)))


def close(got, expected, tolerance=1e-12):
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)


def plainly_trained(task, steps):
    x = jax.jit(task.init)(jax.random.key(0))
    gradient, remembered = jax.jit(jax.grad(task.loss)), task.optimizer.init(x)
    update = jax.jit(task.optimizer.update)
    for step in range(steps):
        updates, remembered = update(gradient(x, tiny_batch(step)), remembered, x)
        x = optax.apply_updates(x, updates)
    return x


class ByHand:
    """The tiny task as functions of flat vectors, for loops written out by hand."""

    def __init__(self, num_members, optimizer=SGD):
        self.task = tiny_task("fp64", optimizer)
        self.tree = self.task.init(jax.random.key(0))
        start, self.unravel = jax.flatten_util.ravel_pytree(self.tree)
        self.x = [np.asarray(start)] * num_members
        self.states = [self.task.optimizer.init(start)] * num_members
        self.gradient = jax.jit(jax.grad(self._loss))

    def _loss(self, x, batch):
        return self.task.loss(self.unravel(x), batch)

    def gradients(self, step, at=None):
        """Returns each member's gradient, where it stands or at other parameters."""
        batch, num = tiny_batch(step), len(self.x)
        share = len(batch["x"]) // num
        shares = [
            {k: v[i * share : (i + 1) * share] for k, v in batch.items()}
            for i in range(num)
        ]
        pairs = zip(self.x if at is None else at, shares, strict=True)
        return [np.asarray(self.gradient(x, share)) for x, share in pairs]

    def update(self, gradients):
        for i, g in enumerate(gradients):
            updates, self.states[i] = self.task.optimizer.update(
                g, self.states[i], self.x[i]
            )
            self.x[i] = np.asarray(self.x[i] + updates)


class Parabola:
    """Members in bowls: loss (w - y)**2 / 2 with a target y each; w begins at 0.

    The numbers stay small enough to be followed with a pencil. With another curvature h
    the loss is h w**2 / 2 - w y + y**2 / 2, so that the gradient is h w - y.
    """

    def __init__(self, *axes, lr=0.5, curvature=1.0, optimizer=None):
        def loss(params, batch):
            w, y = params["w"][0], batch["y"]
            return jnp.mean(curvature * w**2 - 2 * w * y + y**2) / 2

        task = Task(
            init=lambda key: {"w": jnp.zeros(1, jnp.float64)},
            loss=loss,
            measure=lambda params, batch: {"loss": batch["y"]},
            report=dict,
            optimizer=optax.sgd(lr) if optimizer is None else optimizer,
            dims={"w": ()},
        )
        self.engine = ReferenceEngine(scheme_of(*axes), task)

    def at(self, positions, step=1, **memories):
        """Returns a state with the members at some positions."""
        trees = [{"w": np.array([x], float)} for x in positions]
        return self.engine.from_members(trees, step=step, **memories)

    def steps(self, targets, num, state=None):
        """Returns where the members are after each of some steps."""
        state = self.engine.init(jax.random.key(0)) if state is None else state
        seen = []
        for _ in range(num):
            batch = {"y": np.array(targets, float)}
            state, self.metrics = self.engine.step(state, batch)
            seen.append([float(x["w"][0]) for x in state.params])
        self.state = state
        return seen
