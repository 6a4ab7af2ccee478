"""Bytes of text as tokens."""

import dataclasses
import hashlib
import os
import sysconfig
from pathlib import Path

import jax
import numpy as np
from numpy.typing import NDArray

from diamond.dsl.vocabulary.training import Text
from diamond.runtime.data.dataset import ALL, Batch, DataError
from diamond.runtime.data.paths import find_files
from diamond.runtime.data.sampling import Integers, random_bits, split

VOCABULARY = 256
# The default corpus stops here, so that it is read in an instant.
DEFAULT_SIZE = 8 * 2**20
# Held-out text is taken in chunks from all over the corpus, not from its end, which
# may be of another kind. A small corpus is cut in as many, of at least a window.
CHUNK = 16 * 2**10
FEWEST_CHUNKS = 64
# So many held-out windows, evenly spaced, tell the loss to about 1 %.
MOST_HELD_OUT = 512
SKIPPED = ("site-packages", "dist-packages", "test", "tests")

Bytes = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """A dataset of windows of a text: `y` is `x` one byte later.

    Attributes:
        training: The bytes to train on.
        holding: The bytes held out.
        context: Tokens a window.
        batch: Windows a step.
        seed: Seed of the places.
        digest: SHA-256 of the text.
        classes: The number of tokens.
    """

    training: Bytes
    holding: Bytes
    context: int
    batch: int
    seed: int
    digest: str
    classes: int = VOCABULARY

    def batch_at(self, step: int, rows: slice = ALL) -> Batch:
        """Returns windows at random places, drawn anew for each step, or some."""
        places = len(self.training) - self.context
        bits = random_bits(self.seed, step, self.batch)[rows]
        return self._windows(self.training, (bits % places).astype(np.int64))

    def held_out(self) -> Batch:
        """Returns windows of the held-out text that do not overlap."""
        count = max(0, (len(self.holding) - 1) // self.context)
        starts = np.arange(count) * self.context
        chosen = np.linspace(0, count - 1, min(count, MOST_HELD_OUT)).astype(np.int64)
        return self._windows(self.holding, starts[chosen])

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes and types of a batch."""
        shape = jax.ShapeDtypeStruct((self.batch, self.context), np.int32)
        return {"x": shape, "y": shape}

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the text."""
        return self.digest

    def _windows(self, text: Bytes, starts: Integers) -> Batch:
        places = starts[:, None] + np.arange(self.context + 1)
        tokens = text[places].astype(np.int32)
        return {"x": tokens[:, :-1], "y": tokens[:, 1:]}


def open_text(term: Text, root: Path, seed: int, context: int) -> Windows:
    """Opens a text: the files that the term names, or the standard library's source.

    Raises:
        DataError: If no file matches, or the text is shorter than a window.

    Example:
        >>> data = open_text(Text(batch=2), Path("."), seed=0, context=16)
        >>> batch = data.batch_at(0)
        >>> batch["x"].shape, (batch["x"][:, 1:] == batch["y"][:, :-1]).all().item()
        ((2, 16), True)
    """
    if term.files is None:
        text = standard_library()
    else:
        text = _joined(find_files(root, term.files))
    _check_length(len(text), context, term.held_out)
    training, holding = _split(text, term.held_out, context)
    digest = hashlib.sha256(text.tobytes()).hexdigest()
    return Windows(training, holding, context, term.batch, seed, digest)


def standard_library() -> Bytes:
    """Returns the source of Python's standard library, the first 8 MiB by file name."""
    root = Path(sysconfig.get_path("stdlib"))
    paths = _sources(root)
    if not paths:
        raise DataError(
            f"the standard library's source is not in {root}: name your own `files`"
        )
    kept, size = [], 0
    for path in paths:
        kept.append(path)
        size += path.stat().st_size
        if size >= DEFAULT_SIZE:
            break
    return _joined(kept)[:DEFAULT_SIZE]


def _sources(root: Path) -> list[Path]:
    """Returns all Python files but tests and what was installed, sorted."""
    found: list[Path] = []
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if name not in SKIPPED]
        paths = (Path(folder, name) for name in names if name.endswith(".py"))
        found += [path for path in paths if path.is_file()]
    return sorted(found)


def _joined(paths: list[Path]) -> Bytes:
    try:
        return np.concatenate([np.fromfile(path, np.uint8) for path in paths])
    except OSError as error:
        raise DataError(f"the text cannot be read: {error}") from error


def _check_length(size: int, context: int, held_out: float) -> None:
    window = context + 1
    if size < window:
        raise DataError(
            f"the text has {size:,} bytes and a window needs {window:,}: name more "
            "text, or make `context` smaller"
        )
    if held_out and size < 2 * window:
        raise DataError(
            f"the text has {size:,} bytes, and a window to train on and one to hold "
            f"out need {2 * window:,}: name more text, make `context` smaller, or "
            "set `held_out = 0`"
        )


def _split(text: Bytes, held_out: float, context: int) -> tuple[Bytes, Bytes]:
    size = max(context + 1, min(CHUNK, len(text) // FEWEST_CHUNKS))
    count = len(text) // size
    kept, held = split(count, held_out)
    return _chunks(text, kept, size, count), _chunks(text, held, size, count)


def _chunks(text: Bytes, places: Integers, size: int, count: int) -> Bytes:
    """Joins chunks; the last of all has what is left over as well."""
    ends = [len(text) if place == count - 1 else (place + 1) * size for place in places]
    pieces = [text[place * size : end] for place, end in zip(places, ends, strict=True)]
    return np.concatenate([text[:0], *pieces])
