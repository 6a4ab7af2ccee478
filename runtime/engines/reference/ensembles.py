"""Ensembles: members that never agree, and what they predict together.

average    log of the mean probability of each class; the mean of numbers
vote       the class with most votes, the smallest of equals; the loss is that of
           the average
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diamond.compiler.task import Task
from diamond.dsl.vocabulary import Ensemble
from diamond.runtime.engines.reference import compute
from diamond.runtime.engines.reference.clauses import ReplicaAxis
from diamond.runtime.engines.reference.state import Tree

Metrics = dict[str, NDArray[Any]]


def axis_of(axes: Sequence[ReplicaAxis]) -> ReplicaAxis | None:
    """Returns the axis whose members train alone, if there is one."""
    return next((axis for axis in axes if isinstance(axis.rules[0], Ensemble)), None)


def measured(
    task: Task, models: Sequence[Tree], batch: Mapping[str, Any], term: Ensemble
) -> Metrics:
    """Returns the metrics of an ensemble, and the means of those of its members."""
    assert task.predictions is not None
    judge = compute.compiled(task.predictions.judge)
    note = compute.compiled(task.predictions.note)
    outputs = _outputs(task, models, batch)
    pairs = zip(models, outputs, strict=True)
    alone = [{**judge(y, batch), **note(model, batch)} for model, y in pairs]
    joined = _log_mean(outputs) if task.predictions.are_logits else _mean(outputs)
    found = {name: np.asarray(value) for name, value in judge(joined, batch).items()}
    if term.consolidation == "vote":
        found["accuracy"] = _winners(outputs) == np.asarray(batch["y"])
    means = {name: _mean([each[name] for each in alone]) for name in alone[0]}
    return found | {f"member_{name}": value for name, value in means.items()}


def predicted(
    task: Task, models: Sequence[Tree], batch: Mapping[str, Any]
) -> NDArray[Any]:
    """Returns the logarithms of the mean probabilities of classes."""
    return _log_mean(_outputs(task, models, batch))


def _outputs(
    task: Task, models: Sequence[Tree], batch: Mapping[str, Any]
) -> list[NDArray[Any]]:
    assert task.predictions is not None
    predict = compute.compiled(task.predictions.predict)
    return [np.asarray(predict(model, batch)) for model in models]


def _mean(values: Sequence[Any]) -> NDArray[Any]:
    return np.asarray(np.mean([np.asarray(value) for value in values], axis=0))


def _log_mean(logits: Sequence[NDArray[Any]]) -> NDArray[Any]:
    shifted = [each - each.max(axis=-1, keepdims=True) for each in logits]
    powers = [np.exp(each) for each in shifted]
    shares = [each / each.sum(axis=-1, keepdims=True) for each in powers]
    return np.asarray(np.log(_mean(shares)))


def _winners(logits: Sequence[NDArray[Any]]) -> NDArray[Any]:
    chosen = np.array([each.argmax(axis=-1) for each in logits])
    classes = range(logits[0].shape[-1])
    counts = np.stack([(chosen == each).sum(axis=0) for each in classes], axis=-1)
    return np.asarray(counts.argmax(axis=-1))
