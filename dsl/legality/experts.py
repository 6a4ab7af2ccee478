"""Rules about mixtures of experts: who holds how many, and what they go with."""

import math
from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, near_multiples
from diamond.dsl.legality.laid import laid
from diamond.dsl.vocabulary.fields import shown
from diamond.dsl.vocabulary.parallelism import Expert, Pipeline, Sequence
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Transformer


def experts_divide(scheme: Scheme) -> Iterator[Finding]:
    """Every device holds equally many experts."""
    for axis, term in laid(scheme, Expert):
        if term.experts % axis.size:
            yield Finding(
                "D110",
                f"{term.experts} experts cannot be shared out evenly over {axis.size} "
                "devices",
                ("parallelism", axis.name, "experts"),
                expected=f"a multiple of {axis.size}, such as "
                f"{near_multiples(term.experts, axis.size)}",
                help=f"change `experts`, or the size of `{axis.name}`",
                labels=((("mesh", axis.name), f"{axis.size} devices"),),
            )


def choices_fit(scheme: Scheme) -> Iterator[Finding]:
    """A token goes to experts that differ."""
    for axis, term in laid(scheme, Expert):
        if term.top_k > term.experts:
            yield Finding(
                "D111",
                f"`top_k = {term.top_k}` sends a token to {term.top_k} experts, and "
                f"there are {term.experts}",
                ("parallelism", axis.name, "top_k"),
                expected=f"at most {term.experts}",
                help="change `top_k` or `experts`",
                labels=(
                    (("parallelism", axis.name, "experts"), f"{term.experts} experts"),
                ),
            )


def there_are_layers(scheme: Scheme) -> Iterator[Finding]:
    """What is trained has feed-forward layers over tokens."""
    model = scheme.model
    for axis, _ in laid(scheme, Expert):
        if model is not None and not isinstance(model, Transformer):
            yield Finding(
                "D112",
                f"`expert over {axis.name}` makes mixtures of the feed-forward layers "
                f"of blocks, and `{word_of(model)}` has none",
                ("parallelism", axis.name),
                expected="model `transformer`",
                help=f"take `zero` or replicas over `{axis.name}`, which take any "
                "model",
                labels=((("model",), "the model"),),
            )


def companions(scheme: Scheme) -> Iterator[Finding]:
    """Which tokens are routed together is said by the batch alone."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for axis, _ in laid(scheme, Expert):
        for each in scheme.parallelism:
            reason = _why_not_beside(each.strategy)
            if reason is not None and sizes.get(each.axis, 1) > 1:
                word = word_of(each.strategy)
                yield Finding(
                    "D113",
                    f"`{word} over {each.axis}` does not go with `expert over "
                    f"{axis.name}`: {reason}",
                    ("parallelism", each.axis),
                    expected="`zero`, `tensor` or replicas beside `expert`",
                    help=f"take `zero` or replicas over `{each.axis}`",
                    labels=((("parallelism", axis.name), "the experts"),),
                )


def _why_not_beside(strategy: object) -> str | None:
    if isinstance(strategy, Pipeline):
        return "stages work by turns, and tokens would cross inside a turn"
    if isinstance(strategy, Sequence):
        return (
            "an expert's room is for whole examples, and each device has a part of "
            "their tokens"
        )
    return None


def rooms_are_used(scheme: Scheme) -> Iterator[Finding]:
    """An expert has room for all tokens at most."""
    for axis, term in laid(scheme, Expert):
        most = math.ceil(100 * term.experts / term.top_k) / 100
        if term.capacity > most >= 1:
            yield Finding(
                "D114",
                f"`capacity = {shown(term.capacity)}` has room that no token takes: at "
                f"{shown(most)}, which is {term.experts} / {term.top_k}, each expert "
                "takes all tokens of a share",
                ("parallelism", axis.name, "capacity"),
                expected=f"at most {shown(most)}",
                severity="warning",
            )
