"""From a scheme's model term and the shapes of the data to a module."""

import math

from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.dsl.vocabulary.parallelism import Expert
from diamond.dsl.vocabulary.scheme import Model
from diamond.dsl.vocabulary.tables import word_of
from diamond.dsl.vocabulary.training import ConvNet, Transformer
from diamond.runtime.models.convnet import ConvNetModule
from diamond.runtime.models.functional import ModuleFactory
from diamond.runtime.models.layers import randomize
from diamond.runtime.models.mixture import MixtureModule
from diamond.runtime.models.mlp import MlpModule
from diamond.runtime.models.transformer import TransformerModule

Shape = tuple[int, ...]


def module_factory(
    term: Model,
    inputs: Shape,
    outputs: int,
    *,
    tokens: bool = False,
    spread: Spread = WHOLE,
    remat: str = "none",
    experts: Expert | None = None,
) -> ModuleFactory:
    """Returns a function `rngs -> module` for a model of the language.

    Args:
        term: The model.
        inputs: Shape of one example.
        outputs: Classes, tokens of the vocabulary, or numbers to predict.
        tokens: Whether an example is a row of tokens, each with a target.
        spread: The groups that cut the layers up; the module is then one device's part
            of the model.
        remat: What is computed again for the gradient: `none`, `block` or `full`.
        experts: Where given, feed-forward layers are mixtures of experts.

    Raises:
        ValueError: If the model cannot take such examples, or cannot be cut so.

    Example:
        >>> from flax import nnx
        >>> from diamond.dsl.vocabulary import Mlp
        >>> make = module_factory(Mlp(width=16), (8, 8, 1), 10)
        >>> make(nnx.Rngs(0)).head.kernel.shape
        (16, 10)
    """
    if isinstance(term, Transformer):
        _check_transformer(term, inputs, tokens)
        _refuse_columns(term, spread)
        if experts is not None:
            return lambda rngs: randomize(
                MixtureModule(term, experts, outputs, spread, remat=remat), rngs
            )
        return lambda rngs: randomize(
            TransformerModule(term, outputs, spread, remat=remat), rngs
        )
    if experts is not None:
        raise ValueError("`expert` needs the feed-forward layers of a `transformer`")
    if remat != "none":
        raise ValueError(f"`remat = {remat}` needs the blocks of a `transformer`")
    if tokens:
        raise ValueError("the data is made of tokens, which only `transformer` takes")
    if isinstance(term, ConvNet):
        _refuse_spread(term, spread)
        image = _image(term, inputs)
        return lambda rngs: randomize(ConvNetModule(term, image, outputs), rngs)
    size = math.prod(inputs)
    return lambda rngs: randomize(MlpModule(term, size, outputs, spread), rngs)


def _refuse_spread(term: ConvNet, spread: Spread) -> None:
    if spread != WHOLE:
        raise ValueError(f"the layers of `{word_of(term)}` are not cut up over devices")


def _refuse_columns(term: Transformer, spread: Spread) -> None:
    if spread.features is not None:
        raise ValueError(f"the tokens of `{word_of(term)}` have no columns to cut")


def _check_transformer(term: Transformer, inputs: Shape, tokens: bool) -> None:
    if not tokens:
        raise ValueError(
            "`transformer` takes rows of tokens with a target each, such as `text`; "
            f"an example of this data has shape {inputs}"
        )
    if term.width % term.heads:
        raise ValueError(
            f"`width` of `transformer` must be a multiple of `heads`: "
            f"{term.width} is no multiple of {term.heads}"
        )
    if term.positions == "rope" and term.width // term.heads % 2:
        raise ValueError(
            f"`positions = rope` needs an even width a head: "
            f"{term.width} / {term.heads} is {term.width // term.heads}"
        )
    if inputs[0] > term.context:
        raise ValueError(
            f"`context` of `transformer` is {term.context}, and an example of the "
            f"data has {inputs[0]} tokens"
        )


def _image(term: ConvNet, inputs: Shape) -> tuple[int, int, int]:
    if len(inputs) not in (2, 3):
        raise ValueError(
            "`convnet` takes images, [height, width] or [height, width, channels]; "
            f"an example of this data has shape {inputs}"
        )
    height, width, *rest = inputs
    if min(height, width) >> term.stages == 0:
        raise ValueError(
            f"`stages = {term.stages}` of `convnet` halves an image of "
            f"{height} x {width} to nothing"
        )
    return height, width, rest[0] if rest else 1
