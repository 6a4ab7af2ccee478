"""Rules about the training clause: optimizer, batch, and settings without effect."""

import math
from collections.abc import Iterator

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import format_term, parse_term
from diamond.dsl.legality.finding import Finding, near_multiples
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.training import Arrays


def optimizer_known(scheme: Scheme) -> Iterator[Finding]:
    """The optimizer is one of optax, with arguments that it has.

    It is written as text and read back, so that one checker judges both.
    """
    try:
        parse_term("optimizer", format_term(scheme.train.optimizer))
    except SchemeError as error:
        for one in error.diagnostics:
            path = ("train", "optimizer")
            yield Finding(one.code, one.message, path, one.expected, one.help)


def batch_divides(scheme: Scheme) -> Iterator[Finding]:
    """The batch is cut into equal slices, one a member."""
    members = math.prod(axis.size for axis in scheme.mesh)
    batch = getattr(scheme.data, "batch", members)
    if batch % members:
        near = near_multiples(batch, members)
        sizes = " x ".join(f"{axis.name} {axis.size}" for axis in scheme.mesh)
        yield Finding(
            "D044",
            f"a batch of {batch} cannot be cut into {members} equal slices ({sizes})",
            ("data", "batch"),
            expected=f"a multiple of {members}, such as {near}",
            labels=tuple(
                (("mesh", axis.name), f"{axis.size} members")
                for axis in scheme.mesh
                if axis.size > 1
            ),
            needs=(("mesh",),),
        )


def settings_used(scheme: Scheme) -> Iterator[Finding]:
    """Every setting has an effect."""
    steps = scheme.train.steps
    for name in ("evaluate", "checkpoint"):
        every = getattr(scheme.train, name)
        if every is not None and every > steps:
            yield _without_effect(
                f"`{name} = {every}` of `train` has no effect: the run has {steps} "
                "steps",
                ("train", name),
                f"at most {steps}, or no `{name}` for the end only",
            )
    data = scheme.data
    if isinstance(data, Arrays) and data.file.endswith(".npy") and data.inputs != "x":
        yield _without_effect(
            "`inputs` of `arrays` has no effect: a .npy file holds one array",
            ("data", "inputs"),
            "no `inputs`, or a .npz file",
        )


def _without_effect(message: str, path: tuple[str, ...], expected: str) -> Finding:
    return Finding("D066", message, path, expected=expected, severity="warning")
