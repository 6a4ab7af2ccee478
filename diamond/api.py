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
from diamond.compiler.state import State
from diamond.dsl.diagnostics import Diagnostic
from diamond.dsl.load import load_scheme, verify_scheme
from diamond.dsl.vocabulary import Scheme
from diamond.runtime.checkpoints import CheckpointStore
from diamond.runtime.data import Dataset
from diamond.runtime.data import open_data as open_term
from diamond.runtime.folder import RunFolder
from diamond.runtime.loop import Result
from diamond.runtime.progress import Silent
from diamond.runtime.session import open_session, run_session
from diamond.runtime.tasks import make_task


def load(path: str | Path, overrides: str | Sequence[str] = ()) -> Scheme:
    """Loads the scheme of a `.diamond` file.

    Args:
        path: The file.
        overrides: One text or several, such as `"train.steps=100"`, judged like the
            file itself.

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
    overlap: bool = False,
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
        overlap: Whether means that `pipelined` and `local(delay = ..)` use later than
            they are formed are formed beside the next steps, on as many devices again.
            For the CPU devices of one process: on GPUs XLA overlaps by itself.

    Raises:
        diamond.SchemeError: If clauses of the scheme exclude each other.
        ValueError: If model, batch and devices do not fit the scheme, or it has
            nothing to overlap.

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
    shapes = _shapes_of(batch) if data is None else data.example_shapes()
    task = make_task(
        scheme, data, model=model, loss=loss, optimizer=optimizer, shapes=shapes
    )
    if optimizer is not None:
        task = task._replace(optimizer_text="your optimizer")
    return build(scheme, task, shapes, devices, overlap=overlap)


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


def run(
    scheme: Scheme, out: str | Path, root: str | Path = ".", engine: str = "mesh"
) -> Result:
    """Trains a scheme in a run folder, or goes on where the folder stands.

    What `diamondc run` does: checkpoints, metrics, evaluation.

    Args:
        scheme: The scheme; it names model and data.
        out: The run folder.
        root: Folder under which the scheme's data files lie.
        engine: `mesh` or `reference`.

    Raises:
        diamond.SchemeError: If clauses of the scheme exclude each other.
        diamond.runtime.failures.Failure: If the folder, the data or the devices do
            not fit, or training stops being finite.

    Example:
        >>> import tempfile, diamond
        >>> scheme = diamond.Scheme(
        ...     "tiny", diamond.Mlp(width=8), diamond.Digits(), diamond.Train(steps=2))
        >>> result = diamond.run(scheme, tempfile.mkdtemp() + "/run")
        >>> result.steps
        2
    """
    _warn(verify_scheme(scheme))
    session = open_session(scheme, Path(root), engine=engine)
    return run_session(session, Path(out), engine, Silent())


def restore(program: Program, out: str | Path) -> State:
    """Returns the newest state that a run folder holds.

    Args:
        program: A program of the run's scheme, on any devices of the same mesh.
        out: The run folder.

    Raises:
        ValueError: If the folder holds no complete checkpoint.

    Example:
        >>> import tempfile, diamond
        >>> scheme = diamond.Scheme(
        ...     "tiny", diamond.Mlp(width=8), diamond.Digits(), diamond.Train(steps=2))
        >>> out = tempfile.mkdtemp() + "/run"
        >>> _ = diamond.run(scheme, out)
        >>> program = diamond.compile(scheme)
        >>> model = program.model(diamond.restore(program, out))
        >>> model(jax.numpy.zeros((1, 8, 8, 1))).shape
        (1, 10)
    """
    store = CheckpointStore(RunFolder(Path(out)).checkpoints)
    step = store.latest()
    if step is None:
        raise ValueError(f"{out} holds no complete checkpoint")
    state: State = store.restore(step, program.abstract_state)
    return state


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
    sizes = {name: np.shape(array)[:1] for name, array in batch.items()}
    if len(set(sizes.values())) != 1 or set(sizes.values()) <= {(), (0,)}:
        raise ValueError(
            "a batch needs arrays with the same number of examples, one at least, as "
            f"their first dim, not {sizes}"
        )
    return {
        name: jax.ShapeDtypeStruct(
            np.shape(array),
            jax.dtypes.canonicalize_dtype(jax.dtypes.result_type(array)),
        )
        for name, array in batch.items()
    }
