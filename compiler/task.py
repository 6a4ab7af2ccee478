"""What the compiler is given to train: pure functions over plain pytrees."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import optax

from diamond.compiler.parallelism.spread import Spread
from diamond.compiler.parallelism.stack import Stack

Params = Any
Batch = Mapping[str, jax.Array]


class Predictions(NamedTuple):
    """What a model predicts, apart from how it is judged.

    Attributes:
        predict: (parameters, batch) -> `[examples, ..., classes]`, or numbers
            `[examples, ...]`.
        judge: (what was predicted, batch) -> what `Task.measure` gives of it.
        note: (parameters, batch) -> what `Task.measure` gives beside, of the model
            itself.
        are_logits: Whether predictions are logits; any logarithms of probabilities
            then do as well.
    """

    predict: Callable[[Params, Batch], jax.Array]
    judge: Callable[[jax.Array, Batch], dict[str, jax.Array]]
    note: Callable[[Params, Batch], dict[str, jax.Array]]
    are_logits: bool


class Task(NamedTuple):
    """A model, a loss and an optimizer as pure functions, knowing no devices.

    Attributes:
        init: Key -> parameters, a nested dict of arrays.
        loss: (parameters, batch) -> scalar mean loss. Every array of a batch has the
            examples as its first dim.
        measure: (parameters, batch) -> a dict of arrays `[examples]`, one entry a
            metric, `loss` among them.
        report: Means of what `measure` gives -> the metrics that people read, such
            as `accuracy` or `perplexity`.
        optimizer: An optax transformation.
        module: Parameters -> the model that holds them, to call or to export; None
            where there is no such thing.
        optimizer_text: What plans call it; the scheme's own words where None.
        dims: Parameters' tree with a tuple of logical dim names a leaf, such as
            `("embed", "mlp")`; None where no names are known.
        spread: The groups that cut layers up -> the loss of one device's part of the
            parameters; None where the model cannot be cut so.
        stack: The groups that cut layers up -> one device's part of the model as stages
            of a pipeline, whose blocks then are stacked in the parameters; None where
            it is not made for one.
        predictions: `measure` in two; None where the loss is the caller's own.
    """

    init: Callable[[jax.Array], Params]
    loss: Callable[[Params, Batch], jax.Array]
    measure: Callable[[Params, Batch], dict[str, jax.Array]]
    report: Callable[[dict[str, float]], dict[str, float]]
    optimizer: optax.GradientTransformation
    dims: Any
    module: Callable[[Params], Any] | None = None
    spread: Callable[[Spread], Callable[[Params, Batch], jax.Array]] | None = None
    optimizer_text: str | None = None
    stack: Callable[[Spread], Stack] | None = None
    predictions: Predictions | None = None
