"""Small programs to test with."""

from typing import Any

import jax

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.dsl.vocabulary import Axis, Replicas, Scheme, Train
from tests.schemes import examples_of, task_of, tiny_batch


def scheme_over(*axes: tuple[int, Any, Any], steps: int = 12) -> Scheme:
    """Returns a scheme of (size, consistency, compression) an axis, outermost first."""
    names = ("site", "host", "chip")[-len(axes) :]
    return Scheme(
        "tiny",
        train=Train(steps=steps),
        mesh=tuple(Axis(n, a[0]) for n, a in zip(names, axes, strict=True)),
        replicas=tuple(
            Replicas(n, consistency=a[1], compression=a[2])
            for n, a in zip(names, axes, strict=True)
        ),
    )


def program_of(scheme: Scheme) -> Program:
    """Compiles a scheme for the tiny task."""
    shapes = {
        name: jax.ShapeDtypeStruct(array.shape, array.dtype)
        for name, array in tiny_batch(0, examples_of(scheme)).items()
    }
    return build(scheme, task_of(scheme), shapes)
