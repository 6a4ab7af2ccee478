"""An nnx module as pure functions over a nested dict of plain arrays.

The module is split once; what `jax.jit` then sees are dicts and arrays, so a step
costs little Python. Only parameters may change, and only the optimizer changes them.
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from diamond.compiler.parallelism.precision import narrowed
from diamond.compiler.task import Params

ModuleFactory = Callable[[nnx.Rngs], nnx.Module]
Path = tuple[Any, ...]


class Functional(NamedTuple):
    """An nnx module as pure functions.

    Attributes:
        init: Key -> parameters, a nested dict of arrays with strings as keys.
        apply: (parameters, inputs) -> the module's outputs.
        merge: Parameters -> the nnx module with these parameters.
        enter: What the module is called with, from what the data has.
        dims: Parameters' tree with a tuple of logical dim names a leaf; an empty
            tuple where the module names none.
        types: Dotted name of each parameter -> its element type.
    """

    init: Callable[[jax.Array], Params]
    apply: Callable[..., Any]
    merge: Callable[[Params], Any]
    dims: Any
    types: dict[str, Any]
    enter: Callable[[Any], Any] = lambda x: x


def functional(model: nnx.Module | ModuleFactory) -> Functional:
    """Turns an nnx module, or a function that makes one, into pure functions.

    Args:
        model: A module, whose present parameters are then the initial ones whatever
            the key; or a function or a module's class, called with `nnx.Rngs(key)`,
            by the name `rngs` where it takes that by name only.
            Arrays that a module holds outside of any `nnx.Variable` are constants;
            a function's are those that it makes with `nnx.Rngs(0)`.

    Raises:
        ValueError: If the module has variables other than parameters (statistics of
            batch normalization, the random state of dropout), or parameters that
            are no floating-point numbers.

    Example:
        >>> f = functional(lambda rngs: nnx.Linear(2, 3, rngs=rngs))
        >>> params = f.init(jax.random.key(0))
        >>> f.apply(params, jnp.ones((4, 2))).shape
        (4, 3)
    """
    if isinstance(model, nnx.Module):
        return _from_module(model)
    return _from_factory(_unplaced(_by_place(model)))


def part_of(
    model: nnx.Module | ModuleFactory, take: Callable[[Any], Any]
) -> Any | ModuleFactory:
    """Returns a part of a module, or a function that makes the module for its part.

    Example:
        >>> make = lambda rngs: nnx.Sequential(nnx.Linear(2, 3, rngs=rngs))
        >>> f = functional(part_of(make, lambda module: module.layers[0]))
        >>> f.init(jax.random.key(0))["kernel"].shape
        (2, 3)
    """
    if isinstance(model, nnx.Module):
        return take(model)
    make = _unplaced(_by_place(model))
    return lambda rngs: take(make(rngs))


def computing_in(model: Functional, precision: str) -> Functional:
    """Lets a model compute in a precision, whatever its parameters are kept in.

    Args:
        model: The model.
        precision: `fp32` and `fp64` as its parameters are; `bf16` rounds them first.

    Example:
        >>> f = functional(lambda rngs: nnx.Linear(2, 3, rngs=rngs))
        >>> params = f.init(jax.random.key(0))
        >>> computing_in(f, "bf16").merge(params).kernel[...].dtype
        dtype(bfloat16)
    """
    if precision != "bf16":
        return model

    def merge(params: Params) -> Any:
        return model.merge(narrowed(params))

    def apply(params: Params, *inputs: Any) -> Any:
        return merge(params)(*narrowed(inputs))

    return model._replace(merge=merge, apply=apply, enter=narrowed)


def _by_place(factory: Callable[..., nnx.Module]) -> ModuleFactory:
    """Lets a function that takes `rngs` by name only, as flax's own, be called."""
    named = _parameters(factory)
    rngs = named.pop("rngs", None)
    if rngs is None or rngs.kind is not inspect.Parameter.KEYWORD_ONLY:
        return factory
    lacking = [name for name, one in named.items() if _is_required(one)]
    if lacking:
        name = getattr(factory, "__name__", "the model")
        raise ValueError(
            f"`{name}` needs {', '.join(f'`{each}`' for each in lacking)}: pass "
            f"`lambda rngs: {name}(..., rngs=rngs)` instead"
        )
    return lambda rngs: factory(rngs=rngs)


def _unplaced(factory: ModuleFactory) -> ModuleFactory:
    """Lets parameters have names for their dims where there is no mesh of flax's."""

    def make(rngs: nnx.Rngs) -> nnx.Module:
        with nnx.use_eager_sharding(False):
            return factory(rngs)

    return make


def _parameters(factory: Any) -> dict[str, inspect.Parameter]:
    """Returns what a function or a class takes, without `self`."""
    is_class = isinstance(factory, type)
    # The signature of a module's class is that of nnx's metaclass.
    called = getattr(factory, "__init__") if is_class else factory  # noqa: B009
    try:
        named = inspect.signature(called).parameters
    except (TypeError, ValueError):
        return {}
    return dict(list(named.items())[1 if is_class else 0 :])


def _is_required(parameter: inspect.Parameter) -> bool:
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return (
        parameter.default is inspect.Parameter.empty and parameter.kind not in variable
    )


def _from_module(module: nnx.Module) -> Functional:
    graph, params, rest = _split(module)
    _refuse_variables(rest)
    start = _plain(params)
    # Copies, since a training step may give its parameters' memory away.
    return _functions(graph, params, rest, lambda key: jax.tree.map(jnp.copy, start))


def _from_factory(factory: ModuleFactory) -> Functional:
    graph, params, rest = _shapes_of(factory) or _split(factory(nnx.Rngs(0)))
    _refuse_variables(rest)
    return _functions(
        graph, params, rest, lambda key: _plain(_split(factory(nnx.Rngs(key)))[1])
    )


def _shapes_of(factory: ModuleFactory) -> tuple[Any, Any, Any] | None:
    """Splits what a function makes, with shapes in place of arrays, at no cost.

    Returns None where the module holds plain arrays: their values are needed, and
    while JAX traces nnx takes them for static.
    """
    graphs: list[Any] = []

    def parts() -> tuple[Any, Any]:
        module = factory(nnx.Rngs(0))
        nodes = [node for _, node in nnx.iter_graph(module)]
        graph, params, rest = _split(module)
        if not any(isinstance(node, jax.Array | np.ndarray) for node in nodes):
            graphs.append(graph)
        return params, rest

    params, rest = jax.eval_shape(parts)
    return (graphs[0], params, rest) if graphs else None


def _functions(
    graph: Any, params: Any, constants: Any, init: Callable[[jax.Array], Params]
) -> Functional:
    flat = dict(nnx.to_flat_state(params))
    _refuse_types(flat)
    keys = {_words(path): path for path in flat}

    def merge(values: Params) -> Any:
        state = _nest({keys[words]: leaf for words, leaf in _flatten(values).items()})
        return nnx.merge(graph, state, constants)

    def apply(values: Params, *inputs: Any) -> Any:
        return merge(values)(*inputs)

    dims = _nest({_words(path): _dims_of(leaf) for path, leaf in flat.items()})
    types = {".".join(_words(k)): leaf.get_value().dtype for k, leaf in flat.items()}
    return Functional(init, apply, merge, dims, types)


def _split(module: nnx.Module) -> tuple[Any, Any, Any]:
    """Splits a module into its graph, its parameters and everything else."""
    parts: Any = nnx.split(module, nnx.Param, ...)
    graph, params, rest = parts
    return graph, params, rest


def _plain(state: Any) -> Params:
    return _nest(
        {_words(path): leaf.get_value() for path, leaf in nnx.to_flat_state(state)}
    )


def _words(path: Path) -> tuple[str, ...]:
    return tuple(str(part) for part in path)


def _nest(flat: Mapping[Path, Any]) -> dict[Any, Any]:
    tree: dict[Any, Any] = {}
    for path, leaf in flat.items():
        branch = tree
        for part in path[:-1]:
            branch = branch.setdefault(part, {})
        branch[path[-1]] = leaf
    return tree


def _flatten(tree: Mapping[str, Any], above: Path = ()) -> dict[Path, Any]:
    flat: dict[Path, Any] = {}
    for key, value in tree.items():
        deeper = isinstance(value, Mapping)
        path = (*above, key)
        flat |= _flatten(value, path) if deeper else {path: value}
    return flat


def _dims_of(variable: Any) -> tuple[str, ...]:
    """Reads `dims` of our layers, or the names that flax's own layers may carry.

    Those are for the first dims; a dim without a name is `none`.
    """
    metadata = variable.get_metadata()
    found = tuple(metadata.get("dims") or metadata.get("out_sharding") or ())
    names = tuple("none" if name is None else name for name in found)
    if not names or not all(isinstance(name, str) for name in names):
        return ()
    return names + ("none",) * (len(variable.get_value().shape) - len(names))


def _refuse_variables(rest: Any) -> None:
    for path, leaf in nnx.to_flat_state(rest):
        if isinstance(leaf, nnx.Variable):
            name = ".".join(_words(path))
            raise ValueError(
                f"`{name}` of the model is a `{type(leaf).__name__}`, which changes "
                f"outside of the optimizer; only `nnx.Param` may change while a "
                f"scheme trains: {_advice(leaf)}"
            )


def _advice(variable: Any) -> str:
    if isinstance(variable, nnx.RngState):
        return "leave dropout out, and whatever else draws random numbers"
    if isinstance(variable, nnx.BatchStat):
        return "use `nnx.LayerNorm`, `nnx.RMSNorm` or `nnx.GroupNorm` instead"
    return "make it an `nnx.Param`, or a plain array where it is a constant"


def _refuse_types(flat: Mapping[Path, Any]) -> None:
    for path, leaf in flat.items():
        dtype = leaf.get_value().dtype
        if not jnp.issubdtype(dtype, jnp.floating):
            name = ".".join(_words(path))
            raise ValueError(
                f"parameter `{name}` of the model has type {dtype}; parameters must "
                "be floating-point numbers: keep it as a plain array instead"
            )
