"""Sequence parallelism: the tokens of each example are spread over devices.

Every device of the axis sees the same examples and holds 1/N of the tokens of each.
All of a model but attention and positions works on one token at a time, and does so
here; so activations are 1/N of what they are on one device. The loss of a device is
the mean over its tokens, times 1/N, and gradients are summed over the axis.

    ring         of 2N chunks of tokens device k holds the chunks k and 2N-1-k, so that
                 all see equally much of the past; keys and values go round (see `ring`)
    all_to_all   device k holds the k-th of N chunks; an all-to-all of q, k and v gives
                 it all tokens of 1/N of the heads, and one of the mix gives back

The ring keeps q, k, v, the mix and a logarithm a token and head for the gradient; of
attention's weights it holds those of a few pairs of chunks at a time. All-to-all keeps
the weights of its heads, 1/N of all. With `remat = block` the mix is kept, or what was
received, so that nothing is sent twice; with `full` the forward part is.

Bill: with P the bytes of q on a device, `examples * tokens/N * width * item`, a block
sends 2 (N-1) P forward and 4 (N-1) P backward in a ring (k, v, and then their
gradients, in fp32 at least), or 4 (N-1)/N P each way in all-to-alls; of that, keys and
values send `kv_heads / heads` where heads share them. And a step sums
the gradient of every parameter once, 2 V (N-1)/N for the V bytes that a device updates.

Limits: with one device, and in what is computed, it is training on one device.

References: Li, Xue, Baranwal, Li, You, "Sequence parallelism: long sequence training
from system perspective", arXiv 2105.13120, 2021; Jacobs et al., "DeepSpeed Ulysses:
system optimizations for enabling training of extreme long sequence transformer
models", arXiv 2309.14509, 2023; those of `ring`. Brandon et al. deal single tokens out
in turn; we deal chunks in a zigzag, so that only a device's own chunks need a mask.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from diamond.compiler.parallelism.group import Group
from diamond.compiler.parallelism.ring import ring_attention

Attend = Callable[[jax.Array, jax.Array, jax.Array], jax.Array]


class TokenGroup(NamedTuple):
    """The devices along an axis that hold one row of tokens, inside `shard_map`.

    Attributes:
        axis: Name of the axis.
        size: Devices along it.
        method: `ring` or `all_to_all`.
        scope: Name that its collectives carry in compiled programs.
    """

    axis: str
    size: int
    method: str
    scope: str

    def here(self, rows: Any) -> jax.Array:
        """Returns the rows, of one a token of an example, of this device's tokens."""
        place = jax.lax.axis_index(self.axis)
        if self.method == "all_to_all":
            return _chunk(rows, place, self.size)
        num = 2 * self.size
        pair = [_chunk(rows, place, num), _chunk(rows, num - 1 - place, num)]
        return jnp.concatenate(pair)

    def attend(
        self, q: jax.Array, k: jax.Array, v: jax.Array, whole: Attend
    ) -> jax.Array:
        """Mixes the values of all devices for this device's tokens.

        Args:
            q: Queries, `[examples, tokens, heads, head_dim]`.
            k: Keys, likewise, of as many heads or of one for each group of them.
            v: Values, like keys.
            whole: Does so on one device that has all tokens of some heads.
        """
        if self.method == "ring":
            return ring_attention(q, k, v, self._group)
        q, k, v = (self._group.turn(x, 2, 1) for x in (q, k, v))
        return self._group.turn(whole(q, k, v), 1, 2)

    def sum(self, leaves: Sequence[Any]) -> list[Any]:
        """Sums arrays over the devices."""
        with jax.named_scope(self.scope):
            return list(jax.lax.psum(list(leaves), self.axis))

    @property
    def _group(self) -> Group:
        return Group(self.axis, self.size, self.scope)


def zigzag(tokens: int, size: int) -> NDArray[np.int64]:
    """Returns in which order tokens stand, to be cut into equal parts for a ring.

    Example:
        >>> zigzag(8, 2).tolist()
        [0, 1, 6, 7, 2, 3, 4, 5]
    """
    chunks = np.arange(tokens).reshape(2 * size, -1)
    return np.concatenate([chunks[[k, 2 * size - 1 - k]].ravel() for k in range(size)])


def parts_of_tokens(size: int, method: str) -> int:
    """Returns by what the number of tokens must divide.

    Example:
        >>> parts_of_tokens(4, "ring"), parts_of_tokens(4, "all_to_all")
        (8, 4)
    """
    return 2 * size if method == "ring" else size


def _chunk(rows: Any, number: jax.Array, of: int) -> jax.Array:
    size = len(rows) // of
    found: jax.Array = jax.lax.dynamic_slice_in_dim(
        jnp.asarray(rows), number * size, size
    )
    return found
