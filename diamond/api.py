"""The Python interface: load a scheme, compile it, open its data."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx

from diamond.compiler.build import build
from diamond.compiler.program import Program
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.load import load_scheme, verify_scheme
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.data import Dataset
from diamond.runtime.data import open_data as open_term
from diamond.runtime.tasks import make_task


def load(path: str | Path, overrides: Sequence[str] = ()) -> Scheme:
    """Loads the scheme of a `.diamond` file.

    Args:
        path: The file.
        overrides: Texts such as `"train.steps=100"`, judged like the file itself.

    Raises:
        diamond.SchemeError: With every error of the file.

    Example:
        >>> import diamond
        >>> diamond.load("examples/digits.diamond").name
        'digits'
    """
    scheme, found = load_scheme(path, overrides)
    _warn(found)
    return scheme


def compile(
    scheme: Scheme,
    model: nnx.Module | Callable[[nnx.Rngs], nnx.Module] | None = None,
    loss: Callable[[Any, Mapping[str, jax.Array]], jax.Array] | None = None,
    optimizer: optax.GradientTransformation | None = None,
    devices: Sequence[jax.Device] | None = None,
    *,
    batch: Mapping[str, Any] | None = None,
    root: str | Path = ".",
) -> Program:
    """Compiles a scheme into a program for a mesh of devices.

    Args:
        scheme: The scheme.
        model: Your own nnx module, or a function `rngs -> module`; the scheme's
            model where not given.
        loss: Your own `(model, batch) -> scalar`, the mean over the batch's
            examples; the scheme's loss where not given.
        optimizer: Your own optax transformation; the scheme's where not given.
        devices: The devices; all of jax's where not given.
        batch: A global batch, or its shapes, where the scheme names no data: arrays
            with the examples as their first dim.
        root: Folder under which the scheme's data files lie.

    Raises:
        diamond.SchemeError: If clauses of the scheme exclude each other.
        ValueError: If model, batch and devices do not fit the scheme.

    Example:
        >>> import jax, jax.numpy as jnp, diamond
        >>> from flax import nnx
        >>> scheme = diamond.Scheme(
        ...     "line",
        ...     mesh=(diamond.Axis("data", 1),),
        ...     replicas=(diamond.Replicas("data"),),
        ... )
        >>> program = diamond.compile(
        ...     scheme,
        ...     model=lambda rngs: nnx.Linear(2, 1, rngs=rngs),
        ...     loss=lambda model, batch: jnp.mean(jnp.square(
        ...         model(batch["x"]) - batch["y"])),
        ...     batch={"x": jnp.ones((8, 2)), "y": jnp.ones((8, 1))},
        ... )
        >>> state = program.init(jax.random.key(0))
        >>> state, metrics = program.step(
        ...     state, {"x": jnp.ones((8, 2)), "y": jnp.ones((8, 1))}
        ... )
        >>> int(state.step)
        1
    """
    _warn(verify_scheme(scheme))
    data = _data_of(scheme, batch, Path(root))
    task = make_task(scheme, data, model=model, loss=loss, optimizer=optimizer)
    if optimizer is not None:
        task = task._replace(optimizer_text="your optimizer")
    shapes = _shapes_of(batch) if data is None else data.example_shapes()
    return build(scheme, task, shapes, devices)


def open_data(scheme: Scheme, root: str | Path = ".") -> Dataset:
    """Opens the data that a scheme names.

    Args:
        scheme: The scheme.
        root: Folder under which its data files lie.

    Returns:
        Data with `batch_at(step)`, a pure function of the step, and `held_out()`.

    Raises:
        ValueError: If the scheme names no data, or it cannot be read.

    Example:
        >>> import diamond
        >>> data = open_data(diamond.Scheme("digits", data=diamond.Digits(batch=4)))
        >>> data.batch_at(0)["x"].shape
        (4, 8, 8, 1)
    """
    if scheme.data is None:
        raise ValueError(f"scheme `{scheme.name}` names no data")
    return open_term(scheme.data, Path(root), scheme.train.seed, scheme.model)


def _warn(found: Sequence[Diagnostic]) -> None:
    for one in found:
        text = one.message if one.help is None else f"{one.message}: {one.help}"
        warnings.warn(f"{one.code}: {text}", stacklevel=3)


def _data_of(
    scheme: Scheme, batch: Mapping[str, Any] | None, root: Path
) -> Dataset | None:
    if batch is not None:
        return None
    if scheme.data is None:
        raise ValueError(
            f"scheme `{scheme.name}` names no data: pass an example `batch`"
        )
    return open_data(scheme, root)


def _shapes_of(batch: Mapping[str, Any] | None) -> dict[str, jax.ShapeDtypeStruct]:
    assert batch is not None
    return {
        name: jax.ShapeDtypeStruct(
            np.shape(array),
            jax.dtypes.canonicalize_dtype(jax.dtypes.result_type(array)),
        )
        for name, array in batch.items()
    }
