"""Coupling: does an optimizer update each value by itself?

Where devices own parts of the parameters (a parameter server, `zero`, `tensor`) each
updates its part alone. What the language knows of its own optimizers has to be found
out of the caller's own: a small tree is updated whole and in parts.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import optax

# Large and small gradients, so that what clips does so once.
SCALES = (100.0, 0.01)
TOLERANCE = 1e-4


def refuse_coupled(
    optimizer: optax.GradientTransformation, params: Any, *, flat: bool, where: str
) -> None:
    """Refuses an optimizer whose update of a part is not the part of its update.

    Args:
        optimizer: The optimizer.
        params: The parameters' shapes, for their tree and their numbers of dims.
        flat: Whether a part is a piece of all values end to end, as a server's is, or a
            piece of each parameter.
        where: What cuts the parameters, for the message.

    Raises:
        ValueError: If whole and parts differ.

    Example:
        >>> shapes = {"w": jax.ShapeDtypeStruct((4, 4), jax.numpy.float32)}
        >>> refuse_coupled(optax.adam(0.1), shapes, flat=False, where="`zero`")
    """
    draw = np.random.default_rng(0)
    small = jax.tree.map(lambda x: _normal(draw, x.ndim), params)
    gradients = [
        jax.tree.map(lambda x, by=by: by * _normal(draw, x.ndim), params)
        for by in SCALES
    ]
    piece = _flat_piece if flat else _piece
    whole = _updates(optimizer, small, gradients)
    for place in range(2):
        found = _updates(
            optimizer, piece(small, place), [piece(g, place) for g in gradients]
        )
        expected = [piece(updates, place) for updates in whole]
        if not _are_close(found, expected):
            raise ValueError(
                f"{where} gives each device a part of the parameters to update, and "
                "this optimizer does not treat each value by itself: its update of a "
                "part is not that part of its update (a clip by the norm of all "
                "gradients does that, and so do layer-wise norms); take an optimizer "
                "that does, such as `optax.adamw`, or `optax.clip` in place of a norm"
            )


def _normal(draw: np.random.Generator, dims: int) -> np.ndarray:
    return draw.standard_normal((2,) * dims).astype(np.float32)


def _updates(
    optimizer: optax.GradientTransformation, params: Any, gradients: Sequence[Any]
) -> list[Any]:
    state, found = optimizer.init(params), []
    for gradient in gradients:
        updates, state = optimizer.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        found.append(updates)
    return found


def _piece(tree: Any, place: int) -> Any:
    """Returns half of each parameter; a number alone is whole on every device."""
    return jax.tree.map(lambda x: x[place : place + 1] if x.ndim else x, tree)


def _flat_piece(tree: Any, place: int) -> Any:
    values = np.concatenate([np.ravel(x) for x in jax.tree.leaves(tree)])
    return [np.array_split(values, 2)[place]]


def _are_close(found: Any, expected: Any) -> bool:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(np.allclose(a, b, rtol=TOLERANCE, atol=1e-7) for a, b in pairs)
