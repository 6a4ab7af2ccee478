"""The share of a dataset that one of several processes feeds to its devices."""

import dataclasses

import jax

from diamond.runtime.data.dataset import Batch, Dataset


@dataclasses.dataclass(frozen=True, slots=True)
class Share:
    """A dataset of whose batches only some rows are read.

    Attributes:
        whole: The dataset.
        rows: The rows of a batch that this process needs.

    Example:
        >>> from pathlib import Path
        >>> from diamond.dsl.vocabulary import Digits
        >>> from diamond.runtime.data import open_data
        >>> share = Share(open_data(Digits(batch=8), Path(".")), slice(4, 8))
        >>> len(share.batch_at(0)["y"]), share.example_shapes()["y"].shape
        (4, (8,))
    """

    whole: Dataset
    rows: slice

    @property
    def classes(self) -> int | None:
        """See `Dataset`."""
        return self.whole.classes

    def batch_at(self, step: int, rows: slice | None = None) -> Batch:
        """Returns this process's rows of the batch of a step, or those asked for."""
        return self.whole.batch_at(step, self.rows if rows is None else rows)

    def held_out(self) -> Batch:
        """Returns all held-out examples: each process has them."""
        return self.whole.held_out()

    def example_shapes(self) -> dict[str, jax.ShapeDtypeStruct]:
        """Returns the shapes and types of a whole batch."""
        return self.whole.example_shapes()

    def fingerprint(self) -> str:
        """See `Dataset`."""
        return self.whole.fingerprint()
