"""Inputs and targets from NumPy's files."""

import zipfile
import zlib
from pathlib import Path, PurePath

import numpy as np
from numpy.typing import NDArray

from diamond.dsl.vocabulary.training import Arrays
from diamond.runtime.data.dataset import DataError
from diamond.runtime.data.examples import Examples
from diamond.runtime.data.paths import READ_WHOLE, find_file, fingerprint
from diamond.runtime.data.sampling import split

Array = NDArray[np.generic]
# Examples that are looked at together for numbers that are none.
ROWS_AT_ONCE = 4096
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


def open_arrays(term: Arrays, root: Path, seed: int) -> Examples:
    """Opens arrays: two of a .npz file, or two .npy files, which are mapped.

    Integers become int32 and other numbers float32, batch by batch. Integer targets
    are classes, counted from 0.

    Raises:
        DataError: If a file or a key is missing, a file holds Python objects, the
            shapes do not fit, or numbers are NaN or infinite. Mapped files that are
            not small are not searched for such numbers.
    """
    paths = _paths(term, root)
    if len(paths) == 1:
        inputs, targets = _read_npz(paths[0], (term.inputs, term.targets))
        names = (f"`{term.inputs}` of {term.file}", f"`{term.targets}` of {term.file}")
    else:
        inputs, targets = (_read_npy(path) for path in paths)
        names = (term.file, term.targets)
    for name, array in zip(names, (inputs, targets), strict=True):
        _check(name, array)
    rows = _rows(term, inputs, targets)
    training, holding = split(rows, term.held_out)
    if not len(training):
        raise DataError(f"`{term.file}` has {rows} examples: none is left to train on")
    if term.held_out and not len(holding):
        raise DataError(
            f"`{term.file}` has {rows} example: none is left to hold out; add more, "
            "or set `held_out = 0`"
        )
    return Examples(
        inputs,
        targets,
        training,
        holding,
        term.batch,
        seed,
        _classes(term, inputs, targets),
        fingerprint(paths, root),
    )


def _paths(term: Arrays, root: Path) -> list[Path]:
    """Returns the .npz file, or the .npy files of inputs and targets."""
    kind = PurePath(term.file).suffix
    if kind not in (".npz", ".npy"):
        raise DataError(f"`{term.file}` is neither a .npz nor a .npy file")
    first = find_file(root, term.file)
    if kind == ".npz":
        return [first]
    if PurePath(term.targets).suffix != ".npy":
        raise DataError(
            f"`{term.file}` holds the inputs alone: name the .npy file of the targets "
            f'with `targets = "FILE.npy"`, not "{term.targets}"'
        )
    return [first, find_file(root, term.targets)]


def _read_npz(path: Path, keys: tuple[str, str]) -> tuple[Array, Array]:
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise DataError(f"{path} is no .npz archive")
        with archive:
            for key in keys:
                if key not in archive.files:
                    raise DataError(
                        f"{path} has no array `{key}`; it has "
                        f"{', '.join(f'`{name}`' for name in archive.files)}"
                    )
            return archive[keys[0]], archive[keys[1]]
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(_unreadable(path, error)) from error


def _read_npy(path: Path) -> Array:
    try:
        mapped: Array = np.lib.format.open_memmap(path, mode="r")
    except UNREADABLE as error:
        raise DataError(_unreadable(path, error)) from error
    return mapped


def _unreadable(path: Path, error: Exception) -> str:
    return f"{path} cannot be read as an array of numbers: {error}"


def _check(name: str, array: Array) -> None:
    if array.dtype.kind not in "iubf":
        raise DataError(f"{name} holds {array.dtype}, and not real numbers")
    if array.ndim == 0:
        raise DataError(f"{name} holds one number, and not a row an example")
    if len(array) and not array.size:
        raise DataError(f"{name} has shape {array.shape}: its examples hold no value")
    if array.dtype.kind in "iu" and not np.can_cast(array.dtype, np.int32):
        _check_range(name, array)
    mapped = isinstance(array, np.memmap)
    if array.dtype.kind == "f" and not (mapped and array.nbytes > READ_WHOLE):
        _check_finite(name, array)


def _check_finite(name: str, array: Array) -> None:
    """Refuses what is not finite, or would not be in fp32."""
    for start in range(0, len(array), ROWS_AT_ONCE):
        with np.errstate(over="ignore"):
            part = np.asarray(array[start : start + ROWS_AT_ONCE], np.float32)
        finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            found = array[row].ravel()
            bad = found[~np.isfinite(part[row - start].ravel())][0]
            raise DataError(
                f"{name} holds {bad} in row {row}, which is no finite number in fp32"
            )


def _check_range(name: str, array: Array) -> None:
    limit = np.iinfo(np.int32)
    if array.size and (array.min() < limit.min or array.max() > limit.max):
        raise DataError(
            f"{name} holds integers from {array.min()} to {array.max()}, which do not "
            "fit into 32 bits: store real numbers instead"
        )


def _rows(term: Arrays, inputs: Array, targets: Array) -> int:
    if len(inputs) != len(targets):
        raise DataError(
            f"inputs and targets of `{term.file}` must have as many rows: inputs have "
            f"shape {inputs.shape}, targets {targets.shape}"
        )
    return len(inputs)


def _classes(term: Arrays, inputs: Array, targets: Array) -> int | None:
    """Counts classes, or tokens where inputs are tokens too."""
    if targets.dtype.kind not in "iub" or not targets.size:
        return None
    same = inputs.shape == targets.shape and targets.ndim == 2
    tokens = same and inputs.dtype.kind in "iub"
    judged = (inputs, targets) if tokens else (targets,)
    lowest = min(int(array.min()) for array in judged)
    highest = max(int(array.max()) for array in judged)
    if lowest < 0:
        raise DataError(
            f"classes of `{term.file}` must be counted from 0: they run from {lowest} "
            f"to {highest}; targets that are no classes are stored as real numbers"
        )
    if not tokens and highest >= len(targets):
        raise DataError(
            f"classes of `{term.file}` run up to {highest:,}, so there are "
            f"{highest + 1:,} for {len(targets):,} examples: count them from 0 without "
            "gaps; targets that are no classes are stored as real numbers"
        )
    return highest + 1
