"""Rules about axes whose devices hold some columns of the data each."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding
from diamond.dsl.legality.laid import spread
from diamond.dsl.legality.models import DIGITS_SIDE
from diamond.dsl.vocabulary.parallelism import Expert, Features, Pipeline, Sequence
from diamond.dsl.vocabulary.scheme import Axis, Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Digits, Mlp

OF_TOKENS = (Expert, Pipeline, Sequence)


def there_are_columns(scheme: Scheme) -> Iterator[Finding]:
    """What is trained takes columns: an `mlp`, which no strategy of tokens takes."""
    for axis, _ in spread(scheme, Features):
        if scheme.model is None:
            yield from _companions(scheme, axis)
        elif not isinstance(scheme.model, Mlp):
            yield _no_columns(scheme, axis)


def _companions(scheme: Scheme, axis: Axis) -> Iterator[Finding]:
    """Yields what no model could take; where one is named, it is refused itself."""
    for other in scheme.parallelism:
        if isinstance(other.strategy, OF_TOKENS):
            word = word_of(other.strategy)
            yield Finding(
                "D115",
                f"`features over {axis.name}` does not go with `{word} over "
                f"{other.axis}`: one takes an `mlp`, the other a `transformer`",
                ("parallelism", axis.name),
                expected="`features` beside `zero`, `tensor` and replicas",
                help=f"take `zero` or replicas over `{other.axis}`",
                labels=((("parallelism", other.axis), f"`{word}` here"),),
            )


def _no_columns(scheme: Scheme, axis: Axis) -> Finding:
    assert scheme.model is not None
    return Finding(
        "D115",
        f"`features over {axis.name}` cuts the columns of the data, and the layers of "
        f"`{word_of(scheme.model)}` are not written for it",
        ("parallelism", axis.name),
        expected="model `mlp`, whose first layer takes all columns of an example",
        help=f"take `zero` or replicas over `{axis.name}`, which share examples out",
        labels=((("model",), "the model"),),
    )


def columns_divide(scheme: Scheme) -> Iterator[Finding]:
    """All devices get equally many columns; of `arrays`, the compiler checks that."""
    if not isinstance(scheme.data, Digits) or not isinstance(scheme.model, Mlp):
        return
    for axis, _ in spread(scheme, Features):
        if DIGITS_SIDE % axis.size:
            yield Finding(
                "D116",
                f"`features over {axis.name}` cuts the {DIGITS_SIDE} rows of an image "
                f"of `digits` into {axis.size} equal parts, and {DIGITS_SIDE} is no "
                f"multiple of {axis.size}",
                ("parallelism", axis.name),
                expected=f"a size of `{axis.name}` that divides {DIGITS_SIDE}",
                help=f"change the size of `{axis.name}`, or give some of its devices "
                "to an axis of replicas",
                labels=(
                    (("mesh", axis.name), f"{axis.size} devices"),
                    (("data",), "images of 8 x 8"),
                ),
            )
