"""Rules between model, data and loss that need no look at the data."""

from collections.abc import Iterator

from diamond.dsl.legality.finding import Finding, Path, near_multiples
from diamond.dsl.vocabulary.scheme import Scheme
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import (
    Arrays,
    ConvNet,
    CrossEntropy,
    Digits,
    MeanSquaredError,
    Text,
    Transformer,
)

DIGITS_SIDE = 8
Labels = tuple[tuple[Path, str], ...]


def fits_data(scheme: Scheme) -> Iterator[Finding]:
    """A transformer takes tokens, and the other models take anything else."""
    model, data = scheme.model, scheme.data
    if model is None or data is None or isinstance(data, Arrays):
        return
    tokens = isinstance(data, Text)
    if tokens != isinstance(model, Transformer):
        takes = "`mlp` or `convnet`" if not tokens else "`transformer`"
        kind = "made of tokens" if tokens else "made of images"
        yield Finding(
            "D050",
            f"model `{word_of(model)}` cannot take data `{word_of(data)}`, which is "
            f"{kind}",
            ("model",),
            expected=f"{takes} for `{word_of(data)}`",
            labels=((("data",), "the data"),),
        )


def fits_loss(scheme: Scheme) -> Iterator[Finding]:
    """Targets that are classes or tokens need a cross entropy."""
    classes = isinstance(scheme.data, Digits | Text)
    if classes and isinstance(scheme.train.loss, MeanSquaredError):
        assert scheme.data is not None
        yield Finding(
            "D051",
            "loss `mean_squared_error` needs targets that are real numbers; those of "
            f"`{word_of(scheme.data)}` are classes",
            ("train", "loss"),
            expected=f"`{word_of(CrossEntropy())}`",
            labels=((("data",), "the data"),),
        )


def dims_divide(scheme: Scheme) -> Iterator[Finding]:
    """The dims of a model divide as its layers need."""
    if isinstance(scheme.model, Transformer):
        yield from _heads(scheme.model)
        yield from _groups(scheme.model)
    if isinstance(scheme.model, ConvNet) and isinstance(scheme.data, Digits):
        yield from _stages(scheme.model)


def _heads(model: Transformer) -> Iterator[Finding]:
    width, heads = model.width, model.heads
    labels = ((("model", "heads"), f"{heads} heads"),)
    if width % heads:
        yield _width(
            f"`width = {width}` cannot be cut into {heads} equal heads",
            heads,
            labels,
            width,
        )
    elif model.positions == "rope" and width // heads % 2:
        yield _width(
            f"`width = {width}` over {heads} heads leaves {width // heads} a head, "
            "and `positions = rope` turns pairs",
            2 * heads,
            labels,
            width,
        )


def _groups(model: Transformer) -> Iterator[Finding]:
    """Heads of keys and values serve equally many heads of queries."""
    kv_heads, heads = model.kv_heads, model.heads
    if kv_heads is not None and heads % kv_heads:
        yield Finding(
            "D121",
            f"{heads} attention heads cannot share {kv_heads} heads of keys and values "
            "equally",
            ("model", "kv_heads"),
            expected=f"a number that divides {heads}",
            help="change `kv_heads`, or `heads` to a multiple of it, such as "
            f"{near_multiples(heads, kv_heads)}",
            labels=((("model", "heads"), f"{heads} heads"),),
        )


def _width(message: str, of: int, labels: Labels, width: int) -> Finding:
    expected = f"a multiple of {of}, such as {near_multiples(width, of)}"
    return Finding("D052", message, ("model", "width"), expected, labels=labels)


def _stages(model: ConvNet) -> Iterator[Finding]:
    if DIGITS_SIDE >> model.stages == 0:
        yield Finding(
            "D052",
            f"`stages = {model.stages}` halves an image of {DIGITS_SIDE} x "
            f"{DIGITS_SIDE} to nothing",
            ("model", "stages"),
            expected=f"at most {DIGITS_SIDE.bit_length() - 1}",
            labels=((("data",), "the images"),),
        )


def blocks_recomputed(scheme: Scheme) -> Iterator[Finding]:
    """What is computed again is cut at the blocks of a model that has some."""
    remat, model = scheme.train.remat, scheme.model
    if remat != "none" and model is not None and not isinstance(model, Transformer):
        yield Finding(
            "D094",
            f"`remat = {remat}` computes blocks again, and `{word_of(model)}` has none",
            ("train", "remat"),
            expected="`none`",
            help="take a `transformer`, or smaller microbatches with `accumulate`",
            labels=((("model",), "the model"),),
        )
