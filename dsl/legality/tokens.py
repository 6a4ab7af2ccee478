"""Rules about axes that rows of tokens are spread over."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.legality.laid import laid, spread
from diamond.dsl.vocabulary.parallelism import Sequence, Tensor
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import Digits, Text, Transformer


def there_are_tokens(scheme: Scheme) -> Iterator[Finding]:
    """What is trained takes rows of tokens."""
    for mesh_axis, _ in spread(scheme, Sequence):
        axis, model, data = mesh_axis.name, scheme.model, scheme.data
        without: tuple[Path, object] | None = None
        if model is not None and not isinstance(model, Transformer):
            without = ("model",), model
        elif isinstance(data, Digits):
            without = ("data",), data
        if without is not None:
            [part], term = without
            yield Finding(
                "D097",
                f"`sequence over {axis}` spreads rows of tokens, and {part} "
                f"`{word_of(term)}` has none",
                ("parallelism", axis),
                expected="model `transformer`, and data of tokens such as `text`",
                help=f"take `zero` or replicas over `{axis}`, which share examples out",
                labels=(((part,), f"no tokens in this {part}"),),
            )


def tokens_divide(scheme: Scheme) -> Iterator[Finding]:
    """Rows of tokens are cut into equal chunks.

    How many tokens a row of `text` has is the model's context; of other data, the data
    says, and the compiler checks.
    """
    model = scheme.model
    if not isinstance(model, Transformer) or not isinstance(scheme.data, Text):
        return
    for mesh_axis, term in spread(scheme, Sequence):
        axis, size, method = mesh_axis.name, mesh_axis.size, term.method
        chunks = 2 * size if method == "ring" else size
        if model.context % chunks:
            why = "two on each" if method == "ring" else "one on each"
            yield Finding(
                "D095",
                f"`sequence(method = {method})` over `{axis}` cuts {model.context} "
                f"tokens into {chunks} equal chunks, {why} of {size} devices",
                ("parallelism", axis),
                expected=f"a multiple of {chunks}, such as "
                f"{near_multiples(model.context, chunks)}",
                help=f"change `context` of the model, or the size of `{axis}`",
                labels=(
                    (("model", "context"), f"{model.context} tokens"),
                    (("mesh", axis), f"{size} devices"),
                ),
            )


def heads_divide(scheme: Scheme) -> Iterator[Finding]:
    """An all-to-all gives each device equally many of the heads that there are."""
    model = scheme.model
    if not isinstance(model, Transformer):
        return
    tensor, name = _tensor(scheme)
    each = f" a device of `{name}`" if tensor > 1 else ""
    for mesh_axis, term in spread(scheme, Sequence):
        axis, size, method = mesh_axis.name, mesh_axis.size, term.method
        for argument, what, number in _heads(model):
            heads = number // tensor
            if method != "all_to_all" or number % tensor or heads % size == 0:
                continue
            yield Finding(
                "D096",
                f"`sequence(method = all_to_all)` over `{axis}` gives each of {size} "
                f"devices equally many {what}, and there are {heads}{each}",
                ("parallelism", axis),
                expected=f"a multiple of {size * tensor} {what}, such as "
                f"{near_multiples(number, size * tensor)}",
                help=f"change `{argument}` of the model, or take `method = ring`, "
                "which cuts no heads",
                labels=(
                    (("model", argument), f"{number} {what}"),
                    (("mesh", axis), f"{size} devices"),
                ),
            )


def _heads(model: Transformer) -> Iterator[tuple[str, str, int]]:
    """Yields the arguments that say how many heads there are, of what."""
    yield "heads", "heads", model.heads
    if model.kv_heads not in (None, model.heads):
        yield "kv_heads", "heads of keys and values", model.kv_heads


def _tensor(scheme: Scheme) -> tuple[int, str]:
    """Returns over how many devices layers are cut, and along which axis."""
    for axis, _ in laid(scheme, Tensor):
        return axis.size, axis.name
    return 1, ""
