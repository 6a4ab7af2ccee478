"""Small programs to test with."""

from typing import Any

import jax

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.compiler.task import Task
from diamond.dsl.legality.rules import legality
from diamond.dsl.vocabulary import AllReduce, Axis, Call, Replicas, Scheme, Train
from tests.schemes import examples_of, task_of, tiny_batch

_OPTIMIZER = Train().optimizer


def scheme_over(
    *axes: tuple[Any, ...], steps: int = 12, optimizer: Call = _OPTIMIZER
) -> Scheme:
    """Returns a scheme over some axes, outermost first.

    Args:
        axes: (size, consistency, compression) each, and a centralization if there is
            to be another than an all-reduce.
        steps: Steps to train.
        optimizer: The optimizer.
    """
    names = ("site", "host", "chip")[-len(axes) :]
    return Scheme(
        "tiny",
        train=Train(steps=steps, optimizer=optimizer),
        mesh=tuple(Axis(n, a[0]) for n, a in zip(names, axes, strict=True)),
        replicas=tuple(
            Replicas(n, *(a[3:] or (AllReduce(),)), consistency=a[1], compression=a[2])
            for n, a in zip(names, axes, strict=True)
        ),
    )


def program_of(
    scheme: Scheme, task: Task | None = None, *, overlap: bool = False
) -> Program:
    """Compiles a scheme for a task, the tiny one where not given."""
    shapes = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in tiny_batch(0, examples_of(scheme)).items()
    }
    return build(scheme, task or task_of(scheme), shapes, overlap=overlap)


def checked(scheme: Scheme) -> Scheme:
    """Returns a scheme that the language allows."""
    faults = [found for found in legality(scheme) if found.severity == "error"]
    assert not faults, faults
    return scheme
