"""Arrays from files, and the messages where they cannot be used."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diamond.dsl.vocabulary.training import Arrays
from diamond.runtime.data import DataError
from diamond.runtime.data.arrays import open_arrays

X = np.arange(60, dtype=np.float64).reshape(20, 3)
Y = np.arange(20, dtype=np.int64) % 4


def saved(root: Path, **arrays: Any) -> Arrays:
    np.savez(root / "d.npz", **arrays)
    return Arrays(file="d.npz", batch=5)


def test_rows_stay_together(tmp_path: Path) -> None:
    data = open_arrays(saved(tmp_path, x=X, y=Y), tmp_path, seed=0)
    seen = [data.batch_at(step) for step in range(4)] + [data.held_out()]
    for batch in seen:
        rows = batch["x"][:, 0] / 3
        np.testing.assert_array_equal(rows % 4, batch["y"])
    assert len(data.held_out()["y"]) == 2
    assert data.classes == 4


def test_types_are_those_that_jax_uses(tmp_path: Path) -> None:
    data = open_arrays(saved(tmp_path, x=X, y=Y), tmp_path, seed=0)
    batch, shapes = data.batch_at(0), data.example_shapes()
    assert (batch["x"].dtype, batch["y"].dtype) == (np.float32, np.int32)
    for name, array in batch.items():
        assert (array.shape, array.dtype) == (shapes[name].shape, shapes[name].dtype)


def test_two_mapped_files(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", X[:, :2])
    term = Arrays(file="x.npy", targets="y.npy", batch=5)
    data = open_arrays(term, tmp_path, seed=0)
    assert isinstance(data.inputs, np.memmap)
    batch = data.batch_at(0)
    np.testing.assert_array_equal(batch["x"][:, :2], batch["y"])
    assert data.classes is None


def test_tokens_count_inputs_too(tmp_path: Path) -> None:
    x = np.arange(60).reshape(6, 10)
    term = saved(tmp_path, x=x, y=np.zeros_like(x))
    assert open_arrays(term, tmp_path, seed=0).classes == 60


def test_the_fingerprint_is_of_the_files(tmp_path: Path) -> None:
    term = saved(tmp_path, x=X, y=Y)
    first = open_arrays(term, tmp_path, seed=0).fingerprint()
    assert open_arrays(term, tmp_path, seed=1).fingerprint() == first
    saved(tmp_path, x=X + 1, y=Y)
    assert open_arrays(term, tmp_path, seed=0).fingerprint() != first


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "z": Y}, r"d.npz has no array `y`; it has `x`, `z`"),
        ({"x": X, "y": Y[:-1]}, r"shape \(20, 3\), targets \(19,\)"),
        ({"x": X, "y": Y - 1}, "run from -1 to 2"),
        ({"x": X, "y": np.array(["a"] * 20)}, "`y` of d.npz holds <U1"),
        ({"x": X.astype(complex), "y": Y}, "`x` of d.npz holds complex128"),
        ({"x": np.array(1.0), "y": Y}, "holds one number"),
        ({"x": X, "y": Y + 2**40}, "do not fit into 32 bits"),
        ({"x": X[:0], "y": Y[:0]}, "has 0 examples"),
        ({"x": X[:1], "y": Y[:1]}, r"has 1 example: .*`held_out = 0`"),
        ({"x": X[:, :0], "y": Y}, r"`x` of d.npz has shape \(20, 0\)"),
        ({"x": X, "y": Y + 17}, r"run up to 20, so there are 21 for 20 examples"),
        ({"x": X[:5], "y": Y[:5]}, r"`batch = 5` takes more than the 4 .*1 are held"),
        (
            {"x": np.where(X == 40, np.nan, X), "y": Y},
            "`x` of d.npz holds nan in row 13",
        ),
        ({"x": X, "y": np.where(X == 3, -np.inf, X)}, "`y` of .* holds -inf in row 1"),
        ({"x": X * 1e300, "y": Y}, r"holds 1e\+300 in row 0, .* in fp32"),
        ({"x": np.array([None] * 20, object), "y": Y}, "cannot be read as an array"),
    ],
)
def test_unfit_arrays_are_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        open_arrays(saved(tmp_path, **arrays), tmp_path, seed=0)


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ["d.npz", "d.npy"])
def test_pickles_and_junk_are_refused_unread(tmp_path: Path, name: str) -> None:
    fuse, path = tmp_path / "exploded", tmp_path / name
    term = Arrays(file=name, targets=name)
    np.savez(tmp_path / "whole.npz", x=X, y=Y)
    truncated = (tmp_path / "whole.npz").read_bytes()[:200]
    for content in (
        pickle.dumps(Bomb(fuse)),
        b"",
        b"\x93NUMPY",
        b"PK\x03\x04",
        truncated,
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=name):
            open_arrays(term, tmp_path, seed=0)
    np.save(tmp_path / "d.npy", np.array([Bomb(fuse)], object), allow_pickle=True)
    (tmp_path / "d.npy").replace(path)
    with pytest.raises(DataError, match=name):
        open_arrays(term, tmp_path, seed=0)
    assert not fuse.exists()


def test_a_file_shorter_than_its_header_says_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    content = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(content[:-8])
    with pytest.raises(DataError, match=r"x\.npy cannot be read"):
        open_arrays(Arrays(file="x.npy", targets="x.npy"), tmp_path, seed=0)


def test_inputs_alone_ask_for_the_targets(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    with pytest.raises(DataError, match=r'with `targets = "FILE\.npy"`, not "y"'):
        open_arrays(Arrays(file="x.npy", batch=5), tmp_path, seed=0)


def test_mapped_files_are_searched_for_nan_too(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.where(X == 40, np.nan, X))
    np.save(tmp_path / "y.npy", Y)
    with pytest.raises(DataError, match=r"x\.npy holds nan in row 13"):
        open_arrays(Arrays("x.npy", batch=5, targets="y.npy"), tmp_path, seed=0)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("1,2")
    with pytest.raises(DataError, match="`x` is neither"):
        open_arrays(Arrays(file="x"), tmp_path, seed=0)
    with pytest.raises(DataError, match=r"neither a \.npz nor a \.npy file"):
        open_arrays(Arrays(file="x.csv", targets="x.csv"), tmp_path, seed=0)
