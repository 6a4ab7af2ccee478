"""Spread: what the layers of a model are told about the axes it is cut up over."""

from collections.abc import Sequence
from typing import NamedTuple

from diamond.compiler.parallelism.expert import EXPERT, ExpertGroup
from diamond.compiler.parallelism.features import COLUMNS
from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.sequence import TokenGroup
from diamond.compiler.parallelism.tensor import ranks_of


class Spread(NamedTuple):
    """The groups that hold a model between them; None where there is no such axis.

    Attributes:
        tensor: Devices that hold parts of layers.
        sequence: Devices that hold parts of each row of tokens; only attention and
            positions look at it.
        expert: Devices that hold some experts of each mixture.
        features: Devices that hold some columns of the data each, and the rows of the
            first layer for them.

    Example:
        >>> spread = Spread(tensor=Group("chip", 2, "chip.tensor"))
        >>> spread.cut("mlp", 8), spread.cut("embed", 8), WHOLE.cut("mlp", 8)
        (4, 8, 8)
    """

    tensor: Group | None = None
    sequence: TokenGroup | None = None
    expert: ExpertGroup | None = None
    features: Group | None = None

    def cut(self, name: str, size: int) -> int:
        """Returns how much of a dim of a layer one device holds."""
        if name == EXPERT:
            return size // (self.expert.size if self.expert else 1)
        if name == COLUMNS and self.features is not None:
            return size // self.features.size
        return size // ranks_of(name, size, self.tensor.size if self.tensor else 1)

    def rows(self, names: Sequence[str]) -> Group | None:
        """Returns who holds the other rows of a layer whose inputs' dims are cut."""
        return self.features if COLUMNS in names else self.tensor


WHOLE = Spread()
