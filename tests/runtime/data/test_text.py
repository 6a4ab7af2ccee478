"""Text: windows, what is held out, and the default corpus."""

from pathlib import Path

import numpy as np
import pytest

from diamond.dsl.vocabulary.training import Text
from diamond.runtime.data import DataError
from diamond.runtime.data.text import (
    CHUNK,
    DEFAULT_SIZE,
    FEWEST_CHUNKS,
    open_text,
    standard_library,
)


def corpus(root: Path, size: int) -> bytes:
    """Writes a text in which no window comes twice, in two files."""
    text = b"".join(b"%08d" % number for number in range(size // 8))
    (root / "b.txt").write_bytes(text[size // 2 :])
    (root / "a.txt").write_bytes(text[: size // 2])
    return text


def test_targets_are_the_next_bytes(tmp_path: Path) -> None:
    text = corpus(tmp_path, 4096)
    data = open_text(Text(batch=5, files="*.txt", held_out=0), tmp_path, 0, context=32)
    batch = data.batch_at(0)
    for x, y in zip(batch["x"], batch["y"], strict=True):
        place = text.index(bytes(x.tolist()))
        assert bytes(y.tolist()) == text[place + 1 : place + 33]
    shapes = data.example_shapes()
    assert all(batch[k].shape == shapes[k].shape == (5, 32) for k in "xy")
    assert all(batch[k].dtype == shapes[k].dtype == np.int32 for k in "xy")


def test_all_places_are_drawn(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(bytes(range(10)))
    data = open_text(Text(batch=200, files="t.txt", held_out=0), tmp_path, 0, context=8)
    assert set(data.batch_at(0)["x"][:, 0].tolist()) == {0, 1}


def test_held_out_text_is_not_trained_on(tmp_path: Path) -> None:
    corpus(tmp_path, 10 * CHUNK)
    data = open_text(Text(files="*.txt", held_out=0.1), tmp_path, 0, context=64)
    chunk = 10 * CHUNK // FEWEST_CHUNKS
    assert (len(data.training), len(data.holding)) == (58 * chunk, 6 * chunk)
    held, trained = data.holding.tobytes(), data.training.tobytes()
    pieces = {held[i : i + 64] for i in range(0, len(held), 64)}
    assert not any(piece in trained for piece in pieces)
    windows = data.held_out()["x"]
    assert windows.shape == (6 * chunk // 64 - 1, 64)
    starts = {bytes(row.tolist()) for row in windows}
    assert len(starts) == len(windows)


@pytest.mark.parametrize("size", [258, 300, 5_000, 50_000, 20 * CHUNK + 7])
def test_a_share_of_a_small_text_is_held_out(tmp_path: Path, size: int) -> None:
    text = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    text.tofile(tmp_path / "t.txt")
    data = open_text(Text(files="t.txt"), tmp_path, 0, context=128)
    assert len(data.training) + len(data.holding) == size
    assert len(data.training) > 128
    assert len(data.held_out()["x"]) >= 1
    assert len(data.holding) <= max(0.07 * size, size / 2 + 1 if size < 400 else 129)


def test_a_text_too_small_to_hold_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"x" * 257)
    with pytest.raises(DataError, match=r"257 bytes, .* 258: .*`held_out = 0`"):
        open_text(Text(files="t.txt"), tmp_path, 0, context=128)


def test_nothing_need_be_held_out(tmp_path: Path) -> None:
    corpus(tmp_path, 4096)
    data = open_text(Text(files="*.txt", held_out=0), tmp_path, 0, context=64)
    assert data.held_out()["x"].shape == (0, 64)


def test_batches_are_a_function_of_seed_and_step(tmp_path: Path) -> None:
    corpus(tmp_path, 4096)
    one, again, other = (
        open_text(Text(files="*.txt"), tmp_path, seed, context=16) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.batch_at(9)["x"], again.batch_at(9)["x"])
    assert (one.batch_at(9)["x"] != one.batch_at(8)["x"]).any()
    assert (one.batch_at(9)["x"] != other.batch_at(9)["x"]).any()


def test_the_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    corpus(tmp_path, 4096)
    before = open_text(Text(files="*.txt"), tmp_path, 0, context=16).fingerprint()
    assert open_text(Text(files="*.txt"), tmp_path, 1, 8).fingerprint() == before
    content = (tmp_path / "a.txt").read_bytes()
    (tmp_path / "a.txt").write_bytes(content[:-1] + b"?")
    assert open_text(Text(files="*.txt"), tmp_path, 0, 16).fingerprint() != before


def test_the_standard_library() -> None:
    text = standard_library()
    assert len(text) == DEFAULT_SIZE
    assert text[:200].tobytes().isascii()
    assert b"import " in text.tobytes()
    np.testing.assert_array_equal(text, standard_library())


def test_a_short_text_is_refused_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"x" * 33)
    term = Text(files="t.txt", held_out=0)
    assert open_text(term, tmp_path, 0, context=32).batch_at(0)["x"].shape == (32, 32)
    with pytest.raises(DataError, match="has 33 bytes and a window needs 34"):
        open_text(term, tmp_path, 0, context=33)


def test_an_empty_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"")
    with pytest.raises(DataError, match="has 0 bytes"):
        open_text(Text(files="t.txt"), tmp_path, 0, context=8)
