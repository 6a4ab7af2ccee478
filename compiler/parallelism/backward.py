"""Backward: the backward of a function in two halves.

The first half computes the function and its gradient by the input; the second one the
gradient by the weights, from what the first left. The backward is traced whole, and
each equation that the gradient by the input does not need goes to the second half;
what comes of the weights alone is computed there again and not kept.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
from jax.extend import core

Vars = set[Any]
Finish = Callable[[jax.Array], tuple[jax.Array, list[jax.Array]]]


class Halves(NamedTuple):
    """A function's backward in two halves.

    Attributes:
        kept: Shapes of what the first half leaves for the second.
        run: (weights, input) -> (output, a function of the gradient by it that gives
            the gradient by the input and what is left for the second half).
        weights: (weights, what was left) -> the gradient by the weights.
    """

    kept: list[jax.ShapeDtypeStruct]
    run: Callable[[Any, jax.Array], tuple[jax.Array, Finish]]
    weights: Callable[[Any, Sequence[jax.Array]], Any]


def halves_of(
    function: Callable[[Any, jax.Array], jax.Array], weights: Any, x: Any
) -> Halves:
    """Takes the backward of a function apart.

    Args:
        function: (weights, input) -> output, an array of the same shape as the input.
        weights: The weights or their shapes.
        x: The input or its shape.

    Example:
        >>> import jax.numpy as jnp
        >>> halves = halves_of(lambda w, x: x * w, jnp.float32(3), jnp.float32(2))
        >>> y, finish = halves.run(jnp.float32(3), jnp.float32(2))
        >>> back, kept = finish(jnp.float32(1))
        >>> float(y), float(back), float(halves.weights(jnp.float32(3), kept))
        (6.0, 3.0, 2.0)
    """

    def whole(weights: Any, x: jax.Array, back: jax.Array) -> Any:
        y, pull = jax.vjp(function, weights, x)
        by_weights, by_x = pull(back)
        return y, by_x, by_weights

    closed = jax.make_jaxpr(whole)(weights, x, x)
    jaxpr = closed.jaxpr
    leaves, tree = jax.tree.flatten(weights)
    given, [x_var, back_var] = jaxpr.invars[: len(leaves)], jaxpr.invars[-2:]
    y, by_x, *by_weights = jaxpr.outvars
    alone = _reached(jaxpr.eqns, {*given, *jaxpr.constvars})
    first = _needed(jaxpr.eqns, [y, by_x])
    second = [e for e in _needed(jaxpr.eqns, by_weights) if e not in first]
    of_weights = [e for e in first if _is_within(e, alone)]
    again = _needed(of_weights, _read_by(second))
    made = {var for e in (*second, *again) for var in e.outvars}
    read = _read_by([*second, *again]) | {v for v in by_weights if _is_var(v)}
    kept = sorted(read - made - alone, key=_number(jaxpr))
    forward = _needed(jaxpr.eqns, [y])
    rest = [e for e in first if e not in forward]
    later = [e for e in jaxpr.eqns if e in second or e in again]
    start = {**dict(zip(jaxpr.constvars, closed.consts, strict=True))}

    def run(weights: Any, x: jax.Array) -> tuple[jax.Array, Finish]:
        env = {**start, **dict(zip(given, jax.tree.leaves(weights), strict=True))}
        env[x_var] = x
        _evaluate(forward, env)

        def finish(back: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
            env[back_var] = back
            _evaluate(rest, env)
            return _value(by_x, env), [env[var] for var in kept]

        return _value(y, env), finish

    def second_half(weights: Any, left: Sequence[jax.Array]) -> Any:
        env = {**start, **dict(zip(given, jax.tree.leaves(weights), strict=True))}
        env |= dict(zip(kept, left, strict=True))
        _evaluate(later, env)
        return jax.tree.unflatten(tree, [_value(var, env) for var in by_weights])

    shapes = [jax.ShapeDtypeStruct(v.aval.shape, v.aval.dtype) for v in kept]
    return Halves(shapes, run, second_half)


def _is_var(atom: Any) -> bool:
    return not isinstance(atom, core.Literal)


def _read_by(equations: Iterable[Any]) -> Vars:
    return {atom for e in equations for atom in e.invars if _is_var(atom)}


def _reached(equations: Iterable[Any], given: Vars) -> Vars:
    """Returns the given variables, and all that come of them alone."""
    found = set(given)
    for equation in equations:
        if _is_within(equation, found):
            found |= set(equation.outvars)
    return found


def _is_within(equation: Any, known: Vars) -> bool:
    return _read_by([equation]) <= known


def _needed(equations: Sequence[Any], wanted: Iterable[Any]) -> list[Any]:
    """Returns the equations that some values come of, in order."""
    needed = {atom for atom in wanted if _is_var(atom)}
    found = []
    for equation in reversed(equations):
        if needed & set(equation.outvars):
            found.append(equation)
            needed |= _read_by([equation])
    return found[::-1]


def _number(jaxpr: core.Jaxpr) -> Callable[[Any], int]:
    """Returns the place of a variable in the order in which they are made."""
    made = [var for e in jaxpr.eqns for var in e.outvars]
    order = {var: place for place, var in enumerate([*jaxpr.invars, *made])}
    return lambda var: order[var]


def _evaluate(equations: Iterable[Any], env: dict[Any, Any]) -> None:
    for equation in equations:
        params = equation.primitive.get_bind_params(equation.params)
        values = [_value(atom, env) for atom in equation.invars]
        with jax.named_scope(str(equation.source_info.name_stack)):
            made = equation.primitive.bind(*values, **params)
        several = equation.primitive.multiple_results
        env.update(zip(equation.outvars, made if several else [made], strict=True))


def _value(atom: Any, env: dict[Any, Any]) -> Any:
    return env[atom] if _is_var(atom) else atom.val
