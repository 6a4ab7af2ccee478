"""Distillation: one student learns what the members of an ensemble predict together.

    z = log of the mean over the members of softmax(f(x_k))    once a step, of the batch
    L = (1 - w) CE(y, s) + w T^2 KL(softmax(z / T) || softmax(s / T))

with s the student's logits. A temperature T above 1 shows more of the classes that are
less likely; T^2 keeps the size of its gradient. The student is trained by all devices
of the mesh, each a replica with its own share of the batch, and each holds all members:
gradients are averaged, and nothing else is sent.

References: G. Hinton, O. Vinyals and J. Dean, "Distilling the knowledge in a neural
network", arXiv 1503.02531, 2015.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from diamond.compiler.build import build
from diamond.compiler.feeding import put
from diamond.compiler.parallelism.ensemble import average
from diamond.compiler.task import Batch, Params, Predictions, Task
from diamond.dsl.distillation import student_of
from diamond.dsl.vocabulary import Distill, Scheme
from diamond.runtime.data import Dataset
from diamond.runtime.engines.reference import ReferenceEngine
from diamond.runtime.engines.reference.ensembles import predicted
from diamond.runtime.loop import Engine
from diamond.runtime.processes.arrays import on_host
from diamond.runtime.tasks import make_task

MEMBERS = "members"  # the array of a batch that holds z


@dataclass(frozen=True, slots=True)
class Student:
    """What the loop trains a student with.

    Attributes:
        engine: Takes its steps, on batches with z.
        judge: Evaluates it, on data without.
        label: Batch -> z.
    """

    engine: Engine
    judge: Engine
    label: Callable[[Mapping[str, Any]], Any]

    def init(self, key: jax.Array) -> Any:
        """Returns the state before the first step."""
        return self.engine.init(key)

    def step(
        self, state: Any, batch: Mapping[str, Any]
    ) -> tuple[Any, Mapping[str, Any]]:
        """Returns the next state and `loss`, an array with one loss a member."""
        return self.engine.step(state, {**batch, MEMBERS: self.label(batch)})

    def evaluate(self, state: Any, data: Mapping[str, Any]) -> dict[str, float]:
        """Returns metrics over any number of examples, against their targets."""
        return self.judge.evaluate(state, dict(data))

    def is_compiled(self, state: Any) -> bool:
        """Whether the next step runs without compiling first."""
        return self.engine.is_compiled(state)


def student_of_program(
    scheme: Scheme,
    teachers: Task,
    members: Params,
    data: Dataset,
    devices: Sequence[jax.Device] | None = None,
) -> Student:
    """Compiles what trains a student.

    Args:
        scheme: The scheme of the ensemble, with `distill`.
        teachers: The task of its members.
        members: Their parameters, with a leading dim of members.
        data: The data.
        devices: The devices of the mesh; jax's own where not given.
    """
    own, shapes = student_of(scheme), data.example_shapes()
    task, predictions = make_task(own, data), _predictions(teachers)

    def label(params: Params, batch: Batch) -> jax.Array:
        outputs = jax.vmap(predictions.predict, (0, None))(params, batch)
        return average(outputs, True)

    labels = {MEMBERS: jax.eval_shape(label, members, shapes)}
    taught = build(own, distilled(task, _term(scheme)), shapes | labels, devices)
    plain = build(own, task, shapes, devices)
    everywhere = NamedSharding(taught.mesh, PartitionSpec())
    held = jax.tree.map(lambda leaf: put(leaf, leaf.shape, everywhere), members)
    run = jax.jit(label, out_shardings=taught.executables.batch_shardings[MEMBERS])
    return Student(taught, plain, lambda batch: run(held, dict(plain.shard(batch))))


def student_of_reference(
    scheme: Scheme, teachers: Task, members: Params, data: Dataset
) -> Student:
    """Returns what trains a student by the equations; see `student_of_program`."""
    own, number = student_of(scheme), len(jax.tree.leaves(members)[0])
    task = make_task(own, data)
    models = [jax.tree.map(lambda x, k=k: x[k], members) for k in range(number)]
    engine = ReferenceEngine(own, distilled(task, _term(scheme)))
    return Student(engine, engine, lambda batch: predicted(teachers, models, batch))


def distilled(task: Task, term: Distill) -> Task:
    """Returns a task whose loss is that of distillation, of batches with z."""
    predictions, weight = _predictions(task), term.weight

    def loss(params: Params, batch: Batch) -> jax.Array:
        logits = predictions.predict(params, batch)
        hard = jnp.mean(predictions.judge(logits, batch)["loss"])
        soft = jnp.mean(divergence(batch[MEMBERS], logits, term.temperature))
        return (1 - weight) * hard + weight * soft

    return task._replace(loss=loss, spread=None, stack=None)


def divergence(teacher: jax.Array, student: jax.Array, temperature: float) -> jax.Array:
    """Returns T^2 KL(softmax(z / T) || softmax(s / T)), `[examples, ...]`.

    Args:
        teacher: z, `[examples, ..., classes]`.
        student: s, likewise.
        temperature: T.

    Example:
        >>> logits = jnp.log(jnp.array([[0.25, 0.75]]))
        >>> divergence(logits, logits, 2.0).tolist()
        [0.0]
    """
    sought = jax.nn.log_softmax(teacher / temperature, axis=-1)
    found = jax.nn.log_softmax(student / temperature, axis=-1)
    pointwise = jnp.exp(sought) * (sought - found)
    return temperature**2 * jnp.sum(pointwise, axis=-1)


def members_of(engine: Engine, state: Any) -> Params:
    """Returns the parameters of an ensemble's members on the host, stacked."""
    if isinstance(engine, ReferenceEngine):
        return jax.tree.map(lambda *each: np.stack(each), *engine.models(state))
    params: Params = on_host(engine.params(state))  # type: ignore[attr-defined]
    return params


def _predictions(task: Task) -> Predictions:
    assert task.predictions is not None
    return task.predictions


def _term(scheme: Scheme) -> Distill:
    assert scheme.distill is not None
    return scheme.distill
