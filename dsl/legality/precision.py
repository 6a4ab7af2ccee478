"""Rules about the precision that a step computes in."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding
from diamond.dsl.vocabulary.parallelism import Pipeline
from diamond.dsl.vocabulary.scheme import Scheme


def narrow_stages(scheme: Scheme) -> Iterator[Finding]:
    """Stages of a pipeline pass on what they compute in the parameters' type."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for each in scheme.parallelism:
        staged = isinstance(each.strategy, Pipeline) and sizes.get(each.axis, 1) > 1
        if staged and scheme.train.precision == "bf16":
            yield Finding(
                "D120",
                f"`precision = bf16` does not go with `pipeline over {each.axis}`: its "
                "stages compute in the type of the parameters, which stay fp32",
                ("train", "precision"),
                expected="`fp32`",
                help="take `precision = fp32`, or `zero(stage = 3)`, which gathers "
                "parameters in bf16, in place of the pipeline",
                labels=((("parallelism", each.axis), "the pipeline"),),
            )
