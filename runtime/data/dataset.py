"""What a source of training data offers."""

from typing import Protocol

import jax
import numpy as np
from numpy.typing import NDArray

Batch = dict[str, NDArray[np.generic]]
ALL = slice(None)


class DataError(ValueError):
    """Data that cannot be used, with what to do about it."""


class Dataset(Protocol):
    """Batches `{"x": inputs, "y": targets}`, the same ones for the same seed."""

    @property
    def classes(self) -> int | None:
        """The number of classes or tokens; None where targets are real numbers."""

    def batch_at(self, step: int, rows: slice = ALL) -> Batch:
        """Returns the batch of a step, counted from 0: a pure function of the step.

        Of several processes each reads only the `rows` that it needs.
        """

    def held_out(self) -> Batch:
        """Returns all held-out examples; arrays of length 0 where none are."""

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes and types of a batch."""

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the data, to be held against a checkpoint's."""
