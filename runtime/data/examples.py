"""Examples that are rows of two arrays, drawn in shuffled epochs."""

import dataclasses

import jax
import numpy as np
from numpy.typing import NDArray

from diamond.runtime.data.dataset import ALL, Batch, DataError
from diamond.runtime.data.sampling import Integers, shuffled

Array = NDArray[np.generic]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """A dataset of inputs and targets, row by row.

    Attributes:
        inputs: `[rows, ...]`; may be mapped from a file.
        targets: `[rows, ...]`.
        training: The rows to train on.
        holding: The rows held out.
        batch: Examples a step.
        seed: Seed of the order.
        classes: The number of classes, or None where targets are real numbers.
        digest: SHA-256 of the data.

    Raises:
        DataError: If a batch takes more examples than there are to train on.
    """

    inputs: Array
    targets: Array
    training: Integers
    holding: Integers
    batch: int
    seed: int
    classes: int | None
    digest: str

    def __post_init__(self) -> None:
        if self.batch > len(self.training):
            raise DataError(
                f"`batch = {self.batch}` takes more than the {len(self.training):,} "
                f"examples to train on ({len(self.holding):,} are held out): make the "
                "batch smaller"
            )

    def batch_at(self, step: int, rows: slice = ALL) -> Batch:
        """Returns the batch of a step, counted from 0, or some rows of it."""
        start = step * self.batch
        places = shuffled(self.seed, len(self.training), start, self.batch)
        return self._rows(self.training[places[rows]])

    def held_out(self) -> Batch:
        """Returns all held-out examples."""
        return self._rows(self.holding)

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes and types of a batch."""
        probe = self._rows(self.training[:1])
        return {
            name: jax.ShapeDtypeStruct((self.batch, *value.shape[1:]), value.dtype)
            for name, value in probe.items()
        }

    def fingerprint(self) -> str:
        """Returns the SHA-256 of the data."""
        return self.digest

    def _rows(self, rows: Integers) -> Batch:
        return {"x": _narrow(self.inputs[rows]), "y": _narrow(self.targets[rows])}


def _narrow(values: Array) -> Array:
    """Keeps what JAX would narrow in silence, so that shapes tell the truth."""
    if values.dtype.kind in "iub":
        return values.astype(np.int32)
    return values.astype(np.float32)
