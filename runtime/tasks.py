"""What a scheme trains, as pure functions: model, loss and optimizer together."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from diamond.compiler.naming import with_names
from diamond.compiler.parallelism.precision import narrowed, widened
from diamond.compiler.parallelism.spread import WHOLE, Spread
from diamond.compiler.parallelism.stack import Stack, order_of
from diamond.compiler.task import Batch, Params, Predictions, Task
from diamond.dsl.legality.finding import Refusal
from diamond.dsl.legality.laid import spread
from diamond.dsl.legality.stacks import of_parts
from diamond.dsl.vocabulary.parallelism import Expert, Pipeline
from diamond.dsl.vocabulary.scheme import Axis, Loss, Scheme, Train
from diamond.dsl.vocabulary.training import (
    Arrays,
    Call,
    CrossEntropy,
    MeanSquaredError,
    Transformer,
)
from diamond.runtime.data import Dataset, open_data
from diamond.runtime.losses import cross_entropy, mean_squared_error
from diamond.runtime.models import (
    Functional,
    ModuleFactory,
    functional,
    module_factory,
)
from diamond.runtime.models.functional import computing_in
from diamond.runtime.models.outputs import with_notes, with_penalty
from diamond.runtime.models.own_checks import check_stack
from diamond.runtime.models.own_stack import Rounding, own_stack, parts_in, stack_in
from diamond.runtime.models.stacked import stack_of, with_stacked_blocks
from diamond.runtime.optimizers import build_optimizer

UserLoss = Callable[[Any, Batch], jax.Array]
Metrics = dict[str, float]

# The types that a model may make its parameters of; for fp64 they are widened.
PARAMETERS = {
    "bf16": ("float32",),
    "fp32": ("float32",),
    "fp64": ("float64", "float32"),
}


def make_task(
    scheme: Scheme,
    data: Dataset | None = None,
    *,
    model: nnx.Module | ModuleFactory | None = None,
    loss: UserLoss | None = None,
    optimizer: optax.GradientTransformation | None = None,
    shapes: Mapping[str, jax.ShapeDtypeStruct] | None = None,
) -> Task:
    """Returns the task of a scheme.

    Args:
        scheme: The scheme.
        data: The opened data. May be left out where the scheme's data is `digits` or
            `text`, or where `model` is given.
        model: The caller's own model, in place of the scheme's; see `task_from`.
        loss: The caller's own loss, in place of the scheme's; see `task_from`.
        optimizer: An optax transformation, in place of the scheme's.
        shapes: Shapes of a batch, for `model` in a pipeline; those of `data` where not
            given.

    Raises:
        ValueError: If model, data and loss do not fit together.

    Example:
        >>> from diamond.dsl.vocabulary import Digits, Mlp
        >>> task = make_task(Scheme("tiny", Mlp(width=8, layers=1), Digits(batch=4)))
        >>> sorted(task.init(jax.random.key(0)))
        ['head', 'hidden']
    """
    train = scheme.train
    is_own = model is not None or loss is not None
    if is_own and experts_of(scheme) is not None:
        raise ValueError(
            "`expert` makes mixtures of the feed-forward layers of a built-in model, "
            "and has a loss of its own: leave the model and the loss to the scheme"
        )
    if model is None:
        return _of_language(scheme, _built_in_model(scheme, data), loss, optimizer)
    if train.remat != "none":
        raise ValueError(
            f"`remat = {train.remat}` is for the models of the language: in a model of "
            "your own, put `nnx.remat` around its blocks"
        )
    pipe = next(spread(scheme, Pipeline), None)
    if pipe is None:
        return with_names(scheme, _task(train, functional(model), loss, optimizer))
    if shapes is None and data is not None:
        shapes = data.example_shapes()
    if shapes is None:
        raise ValueError("a model of your own in a pipeline needs the batch's `shapes`")
    return _in_stages(scheme, pipe, model, loss, optimizer, shapes)


def _in_stages(
    scheme: Scheme,
    pipe: tuple[Axis, Pipeline],
    model: nnx.Module | ModuleFactory,
    loss: UserLoss | None,
    optimizer: optax.GradientTransformation | None,
    shapes: Mapping[str, jax.ShapeDtypeStruct],
) -> Task:
    """Returns the task of a caller's own model whose blocks lie in stages."""
    found = tuple(of_parts(scheme, parts_in(model)))
    if found:
        raise Refusal(found)
    own, (axis, term) = own_stack(model), pipe
    order = order_of(own.num_blocks, axis.size, term.chunks)
    task = _task(scheme.train, with_stacked_blocks(own.whole, order), loss, optimizer)
    judge = loss if loss is not None else _judge_of(scheme.train)
    stack = stack_in(own, judge, _rounding(scheme.train.precision, loss is not None))
    task = task._replace(stack=lambda spread: stack)
    check_stack(own, task, judge, shapes, axis)
    return task


def _judge_of(train: Train) -> UserLoss:
    """Returns a loss of the language as a function of a model, as callers write it."""
    values, narrows = _values(train.loss), train.precision == "bf16"

    def judge(model: Any, batch: Batch) -> jax.Array:
        x = narrowed(batch["x"]) if narrows else batch["x"]
        return jnp.mean(values(model(x), batch["y"]))

    return judge


def _rounding(precision: str, is_own_loss: bool) -> Rounding:
    """Returns what `_task` does to parameters, batch and loss."""
    if precision == "bf16":
        batch = (lambda b: narrowed(dict(b))) if is_own_loss else _kept
        return Rounding(narrowed, batch, widened)
    wide = _wide if precision == "fp64" else _kept
    return Rounding(wide, wide, _kept)


def _kept(value: Any) -> Any:
    return value


def experts_of(scheme: Scheme) -> Expert | None:
    """Returns what makes a scheme's model a mixture of experts, if something does."""
    terms = [each.strategy for each in scheme.parallelism]
    return next((term for term in terms if isinstance(term, Expert)), None)


def _of_language(
    scheme: Scheme,
    model: "_BuiltIn",
    loss: UserLoss | None,
    optimizer: optax.GradientTransformation | None,
) -> Task:
    """Returns the task of a built-in model, and how it is cut up."""
    train, whole = scheme.train, functional(model.pieces(WHOLE))
    if loss is not None:
        return _task(train, whole, loss, optimizer)
    order = _order_of_blocks(scheme)
    if order:
        if experts_of(scheme) is not None:
            raise ValueError(
                "`expert` does not go with `pipeline`: take `zero` or replicas instead"
            )
        assert isinstance(scheme.model, Transformer)
        whole = with_stacked_blocks(whole, order)
        term = scheme.model

        def stack(spread: Spread) -> Stack:
            values = _values_of_part(train.loss, model.outputs, spread)
            return stack_of(term, model.outputs, values, train, spread)

        return _task(train, whole, None, optimizer)._replace(stack=stack)
    task = _task(train, whole, None, optimizer)
    return task._replace(spread=_spread(train, model))


def _order_of_blocks(scheme: Scheme) -> tuple[int, ...]:
    """Returns how the stages of a pipeline hold the blocks; empty without one."""
    sizes = {axis.name: axis.size for axis in scheme.mesh}
    for parallel in scheme.parallelism:
        term, stages = parallel.strategy, sizes[parallel.axis]
        if isinstance(term, Pipeline) and stages > 1:
            return _order(scheme.model, stages, term)
    return ()


def _order(model: Any, stages: int, term: Pipeline) -> tuple[int, ...]:
    if not isinstance(model, Transformer):
        raise ValueError("`pipeline` needs the blocks of a `transformer`")
    if model.layers % (stages * term.chunks):
        raise ValueError(
            f"{model.layers} blocks cannot be cut into {stages} stages of "
            f"{term.chunks} equal chunks each"
        )
    return order_of(model.layers, stages, term.chunks)


def _task(
    train: Train,
    functions: Functional,
    loss: UserLoss | None,
    optimizer: optax.GradientTransformation | None,
) -> Task:
    return _from_functions(
        functions,
        train.loss if loss is None else loss,
        train.optimizer if optimizer is None else optimizer,
        train.steps,
        train.precision,
    )


def task_from(
    model: nnx.Module | ModuleFactory,
    loss: Loss | UserLoss,
    optimizer: Call | optax.GradientTransformation,
    *,
    total_steps: int = 1,
    precision: str = "fp32",
) -> Task:
    """Returns a task from a model, a loss and an optimizer.

    Args:
        model: An nnx module, whose present parameters are the initial ones, or a
            function `rngs -> module`. With a loss of the language, it is called with
            the batch's `x` and judged against the batch's `y`.
        loss: A loss of the language, or a function `(model, batch) -> scalar` of the
            nnx module and a batch: the mean over the batch's examples.
        optimizer: An optimizer of the language, or an optax transformation.
        total_steps: Steps over which schedules of the language decay.
        precision: `fp64` casts parameters and batches to that type; `fp32` leaves
            both as they are. `bf16` keeps parameters in fp32 and gives the model
            rounded ones and rounded inputs; a loss of your own gets the whole batch
            rounded.

    Raises:
        ValueError: If the model has variables that are no parameters, or parameters
            of another precision.

    Example:
        >>> def loss(model, batch):
        ...     return jnp.mean((model(batch["x"]) - batch["y"]) ** 2)
        >>> task = task_from(
        ...     lambda rngs: nnx.Linear(2, 1, rngs=rngs), loss, optax.sgd(0.1))
        >>> params = task.init(jax.random.key(0))
        >>> batch = {"x": jnp.ones((4, 2)), "y": jnp.ones((4, 1))}
        >>> task.measure(params, batch)["loss"].shape
        (4,)
    """
    return _from_functions(functional(model), loss, optimizer, total_steps, precision)


def _from_functions(
    functions: Functional,
    loss: Loss | UserLoss,
    optimizer: Call | optax.GradientTransformation,
    total_steps: int,
    precision: str,
) -> Task:
    _refuse_precisions(functions, precision)
    if isinstance(optimizer, Call):
        optimizer = build_optimizer(optimizer, total_steps)
    if isinstance(loss, MeanSquaredError | CrossEntropy):
        task = _built_in(functions, loss, optimizer, precision)
    else:
        task = _custom(functions, loss, optimizer)
        task = _in_bf16(task) if precision == "bf16" else task
    return _in_fp64(task) if precision == "fp64" else task


def _refuse_precisions(model: Functional, precision: str) -> None:
    allowed = PARAMETERS[precision]
    for name, dtype in model.types.items():
        if dtype not in allowed:
            raise ValueError(
                f"parameter `{name}` of the model has type {dtype}, and the scheme "
                f"asks for `precision = {precision}`: make it {allowed[0]}; parameters "
                "of mixed precision are not in this release"
            )


def _built_in(
    model: Functional,
    term: Loss,
    optimizer: optax.GradientTransformation,
    precision: str,
) -> Task:
    regression, values = isinstance(term, MeanSquaredError), _values(term)
    computing = computing_in(model, precision)

    def loss(params: Params, batch: Batch) -> jax.Array:
        outputs, penalty = with_penalty(computing, params, batch["x"])
        return _added(jnp.mean(values(outputs, batch["y"])), penalty)

    def predict(params: Params, batch: Batch) -> jax.Array:
        return with_notes(computing, params, batch["x"])[0]

    def note(params: Params, batch: Batch) -> dict[str, jax.Array]:
        return with_notes(computing, params, batch["x"])[1]

    def judge(outputs: jax.Array, batch: Batch) -> dict[str, jax.Array]:
        targets = batch["y"]
        metrics = {"loss": values(outputs, targets)}
        if not regression and targets.ndim == 1:
            metrics["accuracy"] = jnp.argmax(outputs, axis=-1) == targets
        return {
            name: value.astype(metrics["loss"].dtype) for name, value in metrics.items()
        }

    def measure(params: Params, batch: Batch) -> dict[str, jax.Array]:
        return {**judge(predict(params, batch), batch), **note(params, batch)}

    report = _same if regression else _with_perplexity
    task = Task(model.init, loss, measure, report, optimizer, model.dims, model.merge)
    return task._replace(predictions=Predictions(predict, judge, note, not regression))


def _added(loss: jax.Array, penalty: jax.Array | None) -> jax.Array:
    return loss if penalty is None else loss + penalty.astype(loss.dtype)


def _values(term: Loss) -> Callable[[jax.Array, jax.Array], jax.Array]:
    is_square = isinstance(term, MeanSquaredError)
    return mean_squared_error if is_square else cross_entropy


def _values_of_part(
    term: Loss, outputs: int, spread: Spread
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Returns the losses by one device's part of the model, which may lack outputs."""
    if isinstance(term, MeanSquaredError):
        return mean_squared_error

    def values(logits: jax.Array, targets: jax.Array) -> jax.Array:
        is_cut = logits.shape[-1] != outputs
        return cross_entropy(logits, targets, spread.tensor if is_cut else None)

    return values


def _custom(
    model: Functional, user_loss: UserLoss, optimizer: optax.GradientTransformation
) -> Task:
    def loss(params: Params, batch: Batch) -> jax.Array:
        return user_loss(model.merge(params), batch)

    def measure(params: Params, batch: Batch) -> dict[str, jax.Array]:
        ones = jax.tree.map(lambda array: array[:, None], dict(batch))
        return {"loss": jax.vmap(lambda one: loss(params, one))(ones)}

    return Task(model.init, loss, measure, _same, optimizer, model.dims, model.merge)


def _same(means: Metrics) -> Metrics:
    return dict(means)


def _with_perplexity(means: Metrics) -> Metrics:
    """Adds the perplexity where no accuracy was measured, that is, for tokens."""
    if "accuracy" in means:
        return dict(means)
    try:
        perplexity = math.exp(means["loss"])
    except OverflowError:
        perplexity = math.inf
    return {**means, "perplexity": perplexity}


def _in_fp64(task: Task) -> Task:
    def init(key: jax.Array) -> Params:
        if not jax.config.read("jax_enable_x64"):
            raise ValueError(
                "the scheme asks for `precision = fp64`, and JAX is without it: set "
                '`jax.config.update("jax_enable_x64", True)` first'
            )
        return _wide(task.init(key))

    return task._replace(
        init=init,
        loss=lambda params, batch: task.loss(params, _wide(batch)),
        measure=lambda params, batch: task.measure(params, _wide(batch)),
        predictions=_wide_predictions(task.predictions),
    )


def _wide_predictions(found: Predictions | None) -> Predictions | None:
    if found is None:
        return None
    return found._replace(
        predict=lambda params, batch: found.predict(params, _wide(batch)),
        judge=lambda outputs, batch: found.judge(outputs, _wide(batch)),
        note=lambda params, batch: found.note(params, _wide(batch)),
    )


def _in_bf16(task: Task) -> Task:
    def measure(params: Params, batch: Batch) -> dict[str, jax.Array]:
        measured = task.measure(narrowed(params), narrowed(dict(batch)))
        return {name: widened(values) for name, values in measured.items()}

    def loss(params: Params, batch: Batch) -> jax.Array:
        return widened(task.loss(narrowed(params), narrowed(dict(batch))))

    return task._replace(loss=loss, measure=measure)


def _wide(tree: Any) -> Any:
    """Casts the floating-point leaves to fp64."""

    def cast(leaf: Any) -> Any:
        floating = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(jnp.float64) if floating else leaf

    return jax.tree.map(cast, tree)


class _BuiltIn(NamedTuple):
    """A model of the language.

    Attributes:
        pieces: The groups that cut it up -> a factory of one device's part.
        outputs: Classes, or numbers to predict.
    """

    pieces: Callable[[Spread], ModuleFactory]
    outputs: int


def _spread(
    train: Train, model: _BuiltIn
) -> Callable[[Spread], Callable[[Params, Batch], jax.Array]]:
    """Returns the loss of one device's part of a model, for the groups that cut it."""

    def loss_in(spread: Spread) -> Callable[[Params, Batch], jax.Array]:
        part = computing_in(functional(model.pieces(spread)), train.precision)
        values = _values_of_part(train.loss, model.outputs, spread)

        def loss(params: Params, batch: Batch) -> jax.Array:
            outputs, penalty = with_penalty(part, params, batch["x"])
            return _added(jnp.mean(values(outputs, batch["y"])), penalty)

        if train.precision == "fp64":
            return lambda params, batch: loss(params, _wide(batch))
        return loss

    return loss_in


def _built_in_model(scheme: Scheme, data: Dataset | None) -> _BuiltIn:
    if scheme.model is None:
        raise ValueError(f"scheme `{scheme.name}` names no model, and none was given")
    if data is None:
        if scheme.data is None or isinstance(scheme.data, Arrays):
            raise ValueError(
                f"the model of scheme `{scheme.name}` needs the shapes of its data: "
                "pass the opened `data`"
            )
        data = open_data(scheme.data, Path(), scheme.train.seed, scheme.model)
    shapes = data.example_shapes()
    outputs = _outputs(scheme.train.loss, shapes["y"], data.classes)
    inputs, tokens = shapes["x"].shape[1:], _is_tokens(shapes)
    model, experts = scheme.model, experts_of(scheme)

    def pieces(spread: Spread) -> ModuleFactory:
        return module_factory(
            model,
            inputs,
            outputs,
            tokens=tokens,
            spread=spread,
            remat=scheme.train.remat,
            experts=experts,
        )

    return _BuiltIn(pieces, outputs)


def _outputs(loss: Loss, targets: jax.ShapeDtypeStruct, classes: int | None) -> int:
    """Returns how many numbers a model must give for a target."""
    if isinstance(loss, MeanSquaredError):
        return math.prod(targets.shape[1:])
    if classes is None:
        raise ValueError(
            f"`cross_entropy` needs integer targets, and the data has {targets.dtype}: "
            "use `mean_squared_error`"
        )
    return classes


def _is_tokens(shapes: dict[str, jax.ShapeDtypeStruct]) -> bool:
    """Whether each integer of an example has an integer as its target."""
    x, y = shapes["x"], shapes["y"]
    integers = all(jnp.issubdtype(s.dtype, jnp.integer) for s in (x, y))
    return integers and x.shape == y.shape and len(x.shape) == 2
