"""Ensemble: members train alone, and their predictions become one.

    x_k <- step of member k on its share of each batch     nothing crosses the axis
    p(c) = (1/K) sum over k of softmax(f(x_k))(c)          consolidation = average
    c    = the class that most members predict             consolidation = vote

Members start from weights of their own: member k draws them with the run's key and its
place k along the axis. What is inside a member, replicas or one copy cut up, works as
it would alone, with its own K-th part of each batch.

Evaluation joins predictions, not weights: classes and tokens by the mean of their
probabilities, numbers by their mean. A vote says a class and no probability, so that
under `vote` the loss is that of the mean, and the accuracy that of the vote; of equally
many votes the smaller class wins. Tokens and numbers cannot be voted on. Beside each
metric stands the members' own, on average: `member_loss`, `member_accuracy`.

With `distill`, a run then trains one model of any size on what the members predict
together: z = log of the mean probabilities, s = the student's logits, temperature T,

    L = (1 - weight) CE(y, s) + weight T^2 KL(softmax(z / T) || softmax(s / T))

on all devices of the mesh, each with a copy of the student and all members.

Bill: nothing crosses the axis while members train; the student's gradients are summed
over all devices. A member holds a model of its own: K times
the memory over the axis, and K predictions for one.

Limits: one member is training alone. The mean's loss is never more than the members'
mean loss, since the logarithm is concave, and the square convex.

Traps: each member sees 1/K of the examples of a step. Weights have no mean: `params` of
a program has one leading dim with an entry a member.

References: L. K. Hansen and P. Salamon, "Neural network ensembles", IEEE Transactions
on Pattern Analysis and Machine Intelligence, 1990; B. Lakshminarayanan, A. Pritzel and
C. Blundell, "Simple and scalable predictive uncertainty estimation using deep
ensembles", arXiv 1612.01474, 2017; G. Hinton, O. Vinyals and J. Dean, "Distilling the
knowledge in a neural network", arXiv 1503.02531, 2015.
"""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp

from diamond.compiler.plan import MeshAxis
from diamond.compiler.task import Batch, Params, Predictions, Task
from diamond.dsl import vocabulary as words

Measure = Callable[[Params, Batch], dict[str, jax.Array]]


def ensemble_axis(axes: Sequence[MeshAxis]) -> MeshAxis | None:
    """Returns the axis whose members train alone, if there is one.

    Example:
        >>> seat = MeshAxis("seat", 4, strategy=words.Ensemble())
        >>> ensemble_axis([seat, MeshAxis("chip", 2)]).name
        'seat'
    """
    return next((a for a in axes if isinstance(a.strategy, words.Ensemble)), None)


def first_params(
    init: Callable[[jax.Array], Params], key: jax.Array, members: int
) -> Params:
    """Returns initial parameters with a leading dim, each member's from its own key."""
    places = jnp.arange(members)
    keys = jax.vmap(lambda place: jax.random.fold_in(key, place))(places)
    params: Params = jax.vmap(init)(keys)
    return params


def measure_of(axes: Sequence[MeshAxis], task: Task) -> Measure:
    """Returns what measures a program's parameters: of an ensemble, all members'.

    Args:
        axes: The mesh.
        task: What is trained.
    """
    axis = ensemble_axis(axes)
    if axis is None:
        return task.measure
    assert isinstance(axis.strategy, words.Ensemble)
    assert task.predictions is not None
    return consolidated(task.predictions, axis.strategy.consolidation)


def consolidated(predictions: Predictions, consolidation: str) -> Measure:
    """Returns a measure of what members predict together, and of each on average.

    Args:
        predictions: How one member predicts, and how that is judged.
        consolidation: `average` or `vote`.

    Returns:
        A function of parameters with a leading dim of members, and a batch.
    """

    def measure(params: Params, batch: Batch) -> dict[str, jax.Array]:
        outputs = jax.vmap(predictions.predict, (0, None))(params, batch)
        each = jax.vmap(predictions.judge, (0, None))(outputs, batch)
        each |= jax.vmap(predictions.note, (0, None))(params, batch)
        found = predictions.judge(average(outputs, predictions.are_logits), batch)
        if consolidation == "vote":
            found["accuracy"] = predictions.judge(votes(outputs), batch)["accuracy"]
        means = {f"member_{name}": jnp.mean(value, 0) for name, value in each.items()}
        return found | means

    return measure


def average(outputs: jax.Array, are_logits: bool) -> jax.Array:
    """Returns the mean of predictions: of logits, the logarithm of the probabilities'.

    Args:
        outputs: `[members, examples, ..., classes]`, or numbers
            `[members, examples, ...]`.
        are_logits: Whether they are logits.

    Example:
        >>> sure = jnp.log(jnp.array([[[0.9, 0.1]], [[0.5, 0.5]]]))
        >>> [round(float(p), 4) for p in jnp.exp(average(sure, True))[0]]
        [0.7, 0.3]
    """
    if not are_logits:
        return jnp.mean(outputs, axis=0)
    logs = jax.nn.log_softmax(outputs, axis=-1)
    return jax.nn.logsumexp(logs, axis=0) - jnp.log(len(outputs)).astype(logs.dtype)


def votes(logits: jax.Array) -> jax.Array:
    """Counts the members that predict each class: `[examples, classes]`.

    The first of the largest is the winner, so that of equal ones the smaller class is.

    Args:
        logits: `[members, examples, classes]`.

    Example:
        >>> votes(jnp.array([[[1.0, 0.0]], [[0.0, 1.0]], [[0.0, 3.0]]])).tolist()
        [[1.0, 2.0]]
    """
    chosen = jnp.argmax(logits, axis=-1)
    one_hot = jax.nn.one_hot(chosen, logits.shape[-1], dtype=logits.dtype)
    return jnp.sum(one_hot, axis=0)


def check_consolidation(
    axes: Sequence[MeshAxis], task: Task, batch: Mapping[str, jax.ShapeDtypeStruct]
) -> None:
    """Checks that the predictions of a task can become one.

    Raises:
        ValueError: If the loss is the caller's own, or there is nothing to vote on.
    """
    axis = ensemble_axis(axes)
    if axis is None:
        return
    assert isinstance(axis.strategy, words.Ensemble)
    over = f"`ensemble over {axis.name}`"
    if task.predictions is None:
        raise ValueError(
            f"{over} joins what its members predict, and a loss of your own does not "
            "say what that is: use `cross_entropy` or `mean_squared_error`"
        )
    if axis.strategy.consolidation == "vote":
        params = jax.eval_shape(task.init, jax.eval_shape(lambda: jax.random.key(0)))
        measured = jax.eval_shape(task.measure, params, dict(batch))
        if "accuracy" not in measured:
            raise ValueError(
                f"{over} votes on classes, and what is predicted here is none: use "
                "`consolidation = average`"
            )
