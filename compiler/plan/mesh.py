"""What a plan is laid over: the axes of the mesh, and the tensors of a model."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families


@dataclass(frozen=True, slots=True)
class MeshAxis:
    """A named dim of the device mesh; axes stand from the outermost inwards.

    Attributes:
        name: The name in the scheme.
        size: Devices along the axis.
        loose: Whether the copies along the axis may differ between steps.
        bandwidth: Bits per second of a member's link, or None where not declared.
        latency: Seconds of a message, or None where not declared.
        strategy: How one copy of the model is cut up over the axis, or that its
            members are an ensemble; None where the axis holds replicas.
    """

    name: str
    size: int
    loose: bool = False
    bandwidth: float | None = None
    latency: float | None = None
    strategy: families.Strategy | None = None

    @property
    def holds_copies(self) -> bool:
        """Whether each place has a model of its own: replicas, or an ensemble."""
        return self.strategy is None or isinstance(self.strategy, words.Ensemble)

    @property
    def splits_batch(self) -> bool:
        """Whether the members along the axis get different examples."""
        shared = isinstance(self.strategy, words.Zero | words.Expert)
        return self.holds_copies or shared

    @property
    def splits_tokens(self) -> bool:
        """Whether the members along the axis get different tokens of each example."""
        return isinstance(self.strategy, words.Sequence)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A parameter of the model.

    Attributes:
        path: Its keys, joined by `/`.
        shape: Its shape, whole.
        dtype: Its element type.
        dims: A logical name for each dim, such as `("embed", "mlp")`, if known.
        cuts: For each dim the mesh axes it is cut over, outermost cut first; empty
            where the tensor is whole. What is exchanged and updated is one such cut.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    dims: tuple[str, ...] = ()
    cuts: tuple[tuple[str, ...], ...] = ()

    @property
    def axes(self) -> tuple[str, ...]:
        """The mesh axes that some dim is cut over."""
        return tuple(axis for axes in self.cuts for axis in axes)

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def local_tensor(tensor: TensorSpec, sizes: Mapping[str, int]) -> TensorSpec:
    """Returns one device's cut of a tensor, itself whole.

    Example:
        >>> tensor = TensorSpec("w", (8, 6), "float32", cuts=((), ("chip",)))
        >>> local_tensor(tensor, {"chip": 2}).shape
        (8, 3)
    """
    if not tensor.cuts:
        return tensor
    parts = [math.prod(sizes[axis] for axis in axes) for axes in tensor.cuts]
    shape = tuple(size // num for size, num in zip(tensor.shape, parts, strict=True))
    return replace(tensor, shape=shape, cuts=())
