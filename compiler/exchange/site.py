"""Where an exchange takes place: over which axis, of which tensors."""

from typing import NamedTuple

from diamond.compiler.exchange.wire import Wire
from diamond.compiler.plan import TensorSpec
from diamond.dsl.vocabulary import scheme as families


class Moments(NamedTuple):
    """How fast Adam forgets: `b1` for the mean, `b2` for the second moment."""

    b1: float
    b2: float


class Site(NamedTuple):
    """What a factory may know of the place where its algorithm runs.

    Attributes:
        wire: The axis.
        tensors: What is exchanged, in order: paths and shapes.
        adam: The optimizer's constants, if it is Adam or AdamW.
        forms: The compression terms over the axis during the whole run, for a layout
            that suits all of them; that of the exchange alone where empty.
    """

    wire: Wire
    tensors: tuple[TensorSpec, ...]
    adam: Moments | None = None
    forms: tuple[families.Compression, ...] = ()
