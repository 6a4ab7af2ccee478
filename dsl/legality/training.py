"""Rules about the training clause: optimizer, batch, and settings without effect."""

import math
from collections.abc import Iterator

from diamond.dsl.diagnostics import SchemeError
from diamond.dsl.emit import format_term, parse_term
from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.vocabulary.optimizers import signature_of
from diamond.dsl.vocabulary.parallelism import Ensemble, Expert, Zero
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.training import Arrays, Call


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


def warm_up_fits(scheme: Scheme) -> Iterator[Finding]:
    """The warm-up of Diamond's own schedules ends before the run does.

    Those of optax have a length of their own, and may outlast the run.
    """
    steps = scheme.train.steps
    for path, warmup in _warm_ups(scheme.train.optimizer, ("train", "optimizer")):
        if not 0 <= warmup < steps:
            yield Finding(
                "D053",
                f"a warm-up of {warmup} steps does not fit into a run of {steps} steps",
                path,
                expected=f"a number of steps from 0 to {steps - 1}",
                help="shorten `warmup`, or raise `steps` of `train`",
                labels=((("train", "steps"), "the run's length"),),
            )


def _warm_ups(call: Call, path: Path) -> Iterator[tuple[Path, int]]:
    signature = signature_of(call.name)
    own = signature is not None and signature.home == "diamond"
    for name, value in call.arguments:
        if isinstance(value, Call):
            yield from _warm_ups(value, (*path, name))
        elif own and name == "warmup" and isinstance(value, int):
            yield (*path, name), value


def batch_divides(scheme: Scheme) -> Iterator[Finding]:
    """The batch is cut into equal slices, for the axes whose devices share it out."""
    splitting = [axis for axis in scheme.mesh if splits_batch(scheme, axis.name)]
    accumulate = scheme.train.accumulate
    members = math.prod(axis.size for axis in splitting) * accumulate
    batch = getattr(scheme.data, "batch", members)
    if batch % members:
        near = near_multiples(batch, members)
        sizes = " x ".join(f"{axis.name} {axis.size}" for axis in splitting)
        if accumulate > 1:
            sizes = f"{sizes} x accumulate {accumulate}".removeprefix(" x ")
        yield Finding(
            "D044",
            f"a batch of {batch} cannot be cut into {members} equal slices ({sizes})",
            ("data", "batch"),
            expected=f"a multiple of {members}, such as {near}",
            labels=tuple(
                (("mesh", axis.name), f"{axis.size} members")
                for axis in splitting
                if axis.size > 1
            )
            + ((("train", "accumulate"), "microbatches"),) * (accumulate > 1),
            needs=(("mesh",),),
        )


def splits_batch(scheme: Scheme, axis: str) -> bool:
    """Whether the devices along an axis get different examples."""
    cut = [
        each.axis
        for each in scheme.parallelism
        if not isinstance(each.strategy, Zero | Expert | Ensemble)
    ]
    return axis not in cut


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
                labels=((("train", "steps"), "the run's length"),),
            )
    data = scheme.data
    if isinstance(data, Arrays) and data.file.endswith(".npy") and data.inputs != "x":
        yield _without_effect(
            "`inputs` of `arrays` has no effect: a .npy file holds one array",
            ("data", "inputs"),
            "no `inputs`, or a .npz file",
        )


def _without_effect(
    message: str, path: Path, expected: str, labels: tuple[tuple[Path, str], ...] = ()
) -> Finding:
    return Finding(
        "D066", message, path, expected=expected, labels=labels, severity="warning"
    )


def something_declared(scheme: Scheme) -> Iterator[Finding]:
    """The scheme says something."""
    if scheme == Scheme(scheme.name):
        yield Finding(
            "D067",
            "nothing is declared: there is no model, no data and no mesh",
            (),
            expected="a block, such as `data digits { batch = 256 }`",
            severity="warning",
        )
