"""Stack: a model as a pipeline takes it apart, into alike blocks and two ends.

The parameters of the blocks are stacked: under the key `blocks`, each array has a
leading dim `layers`. A stage holds a slice of it: its first chunk, then its second, and
so on; so the blocks stand in the order of stages, not in that of the model.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

BLOCKS, LAYERS = "blocks", "layers"


class Stack(NamedTuple):
    """The parts of a model and its loss.

    Attributes:
        enter: (parameters but those of the blocks, batch) -> input of the first block.
        block: (parameters of one block, its input) -> its output, of the same shape.
        leave: (parameters but those of the blocks, output of the last block, batch) ->
            mean loss.
    """

    enter: Callable[[Any, Any], jax.Array]
    block: Callable[[Any, jax.Array], jax.Array]
    leave: Callable[[Any, jax.Array, Any], jax.Array]


def order_of(layers: int, stages: int, chunks: int) -> tuple[int, ...]:
    """Returns which block of the model stands at each place of the stacked arrays.

    Example:
        >>> order_of(8, stages=2, chunks=2)
        (0, 1, 4, 5, 2, 3, 6, 7)
    """
    size = layers // (stages * chunks)
    return tuple(
        (chunk * stages + stage) * size + block
        for stage in range(stages)
        for chunk in range(chunks)
        for block in range(size)
    )
