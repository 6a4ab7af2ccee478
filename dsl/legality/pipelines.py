"""Rules about pipelines: blocks, chunks and microbatches come out even."""

import math
from collections.abc import Iterator
from typing import TypeAlias

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.laid import spread
from diamond.dsl.legality.training import splits_batch
from diamond.dsl.vocabulary.parallelism import Pipeline, Sequence
from diamond.dsl.vocabulary.scheme import Axis, Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Transformer

Label: TypeAlias = tuple[Path, str]


def has_blocks(scheme: Scheme) -> Iterator[Finding]:
    """Stages are made of blocks that are alike."""
    model = scheme.model
    for axis, _ in spread(scheme, Pipeline):
        if model is not None and not isinstance(model, Transformer):
            yield Finding(
                "D100",
                f"`pipeline over {axis.name}` spreads blocks, and `{word_of(model)}` "
                "has none",
                ("parallelism", axis.name),
                expected="model `transformer`",
                help="take `zero`, which cuts the parameters of any model",
                labels=((("model",), "the model"),),
            )


def blocks_divide(scheme: Scheme) -> Iterator[Finding]:
    """All chunks of all stages have equally many blocks."""
    model = scheme.model
    for axis, term in spread(scheme, Pipeline):
        parts = axis.size * term.chunks
        if isinstance(model, Transformer) and model.layers % parts:
            label: Label = (("model", "layers"), f"{model.layers} blocks")
            fix = f"change `layers` of the model, or the size of `{axis.name}`"
            yield uneven(axis, term, model.layers, fix, label)


def uneven(
    axis: Axis, term: Pipeline, blocks: int, fix: str, *labels: Label
) -> Finding:
    """Blocks do not come out even."""
    parts = axis.size * term.chunks
    times = f" of {term.chunks} chunks each" if term.chunks > 1 else ""
    return Finding(
        "D101",
        f"{blocks} blocks cannot be spread over {axis.size} equal stages{times}",
        ("parallelism", axis.name),
        expected=f"a multiple of {parts}, such as {near_multiples(blocks, parts)}",
        help=fix,
        labels=(*labels, size_of(axis)),
    )


def chunks_fit(scheme: Scheme) -> Iterator[Finding]:
    """A stage has several chunks where the schedule goes round, and there alone."""
    for axis, term in spread(scheme, Pipeline):
        is_round = term.schedule == "interleaved"
        if is_round == (term.chunks > 1):
            continue
        yield Finding(
            "D102",
            f"`chunks = {term.chunks}` does not go with `schedule = {term.schedule}`"
            + (", which goes round through several" if is_round else ""),
            ("parallelism", axis.name, "chunks"),
            expected="`chunks` of 2 or more" if is_round else "`chunks = 1`",
            help="take `schedule = one_f_one_b`"
            if is_round
            else "take `schedule = interleaved`, or leave `chunks` out",
        )


def groups_are_full(scheme: Scheme) -> Iterator[Finding]:
    """`interleaved` takes microbatches in groups of as many as there are stages."""
    for axis, term in spread(scheme, Pipeline):
        if term.schedule == "interleaved" and term.microbatches % axis.size:
            yield Finding(
                "D103",
                f"`interleaved` takes microbatches {axis.size} at a time, and "
                f"{term.microbatches} is no multiple of {axis.size}",
                ("parallelism", axis.name, "microbatches"),
                expected=f"a multiple of {axis.size}, such as "
                f"{near_multiples(term.microbatches, axis.size)}",
                help="change `microbatches`, or take `schedule = one_f_one_b`",
                labels=(size_of(axis),),
            )


def microbatches_divide(scheme: Scheme) -> Iterator[Finding]:
    """What a pipeline takes at once is cut into equal microbatches."""
    batch = getattr(scheme.data, "batch", 0)
    sizes = [axis.size for axis in scheme.mesh if splits_batch(scheme, axis.name)]
    share, rest = divmod(batch, math.prod(sizes) * scheme.train.accumulate)
    for axis, term in spread(scheme, Pipeline):
        if rest == 0 and share % term.microbatches:
            yield Finding(
                "D104",
                f"{share} of {batch} examples that a pipeline takes at once cannot be "
                f"cut into {term.microbatches} equal microbatches",
                ("parallelism", axis.name, "microbatches"),
                expected=f"a number that divides {share}",
                help="change `microbatches`, or `batch` of the data",
                labels=((("data", "batch"), "the batch"),),
            )


def companions(scheme: Scheme) -> Iterator[Finding]:
    """What else is asked for has been made to work inside stages."""
    for axis, term in spread(scheme, Pipeline):
        for beside, tokens in spread(scheme, Sequence):
            if tokens.method == "ring":
                yield apart(
                    axis,
                    ("parallelism", beside.name),
                    "`sequence(method = ring)`",
                    "stages work by turns, and to pass something on from device to "
                    "device waits for the devices of all stages",
                    "`method = all_to_all`",
                )
        if term.schedule == "zero_bubble" and scheme.train.remat != "none":
            yield apart(
                axis,
                ("train", "remat"),
                f"`remat = {scheme.train.remat}`",
                "with `zero_bubble` a stage keeps what `remat` would forget until "
                "it has the gradient by its weights",
                "`remat = none`, or `schedule = one_f_one_b`",
            )


def apart(axis: Axis, path: Path, what: str, reason: str, way_out: str) -> Finding:
    """Something has not been made to work inside stages."""
    return Finding(
        "D105",
        f"{what} does not go with `pipeline over {axis.name}`: {reason}",
        path,
        expected=way_out,
        help=f"take {way_out}",
        labels=((("parallelism", axis.name), "the pipeline"),),
    )


def size_of(axis: Axis) -> Label:
    """Points at the number of stages."""
    return ("mesh", axis.name), f"{axis.size} stages"
