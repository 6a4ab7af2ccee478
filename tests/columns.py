"""Schemes whose devices hold columns of the data, over a tiny perceptron."""

import functools
from typing import Any

import jax
import numpy as np

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.vocabulary import Mlp, Scheme
from diamond.runtime.tasks import make_task
from tests.shards import cut_scheme

CLASSES, EXAMPLES, SHAPE = 4, 16, (8, 3)
MODEL = Mlp(width=8, layers=2)


class Images:
    """What a model of the language is told about its data."""

    classes = CLASSES

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes of a batch."""
        x = jax.ShapeDtypeStruct((EXAMPLES, *SHAPE), np.float32)
        return {"x": x, "y": jax.ShapeDtypeStruct((EXAMPLES,), np.int32)}


def columns_scheme(
    *axes: tuple[str, int, Any], model: Mlp = MODEL, **train: Any
) -> Scheme:
    """Returns a scheme of a perceptron over some axes; see `tests.shards`."""
    return cut_scheme(*axes, model=model, **train)


def columns_task(scheme: Scheme) -> Task:
    """Returns the task of such a scheme, the same for the same model and training."""
    return _task(Scheme("alone", model=scheme.model, train=scheme.train))


@functools.cache
def _task(scheme: Scheme) -> Task:
    return make_task(scheme, Images())


def columns_program(scheme: Scheme) -> Program:
    """Compiles such a scheme."""
    return build(scheme, columns_task(scheme), Images().example_shapes())


def images_at(step: int) -> dict[str, np.ndarray]:
    """Returns the batch of a step: a function of the step alone."""
    draw = np.random.default_rng(step)
    x = draw.normal(size=(EXAMPLES, *SHAPE)).astype(np.float32)
    return {"x": x, "y": draw.integers(0, CLASSES, EXAMPLES, dtype=np.int32)}
