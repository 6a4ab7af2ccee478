"""The wire: the collectives over one mesh axis, and a tape that writes them down.

Algorithms talk over a `Wire` and over nothing else. On a mesh it is jax's collectives;
on a tape nothing moves and each collective is listed as the message that it is: so the
plan's messages are those of the very code that is compiled.
"""

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.exchange.noise import Stream, seed_from, seed_within
from diamond.compiler.plan import Kind, Message, Pairs

Outer = tuple[tuple[str, int], ...]

_NAMES = {
    "float64": "f64",
    "float32": "f32",
    "int32": "s32",
    "uint32": "u32",
    "uint16": "u16",
    "int16": "s16",
    "uint8": "u8",
    "int8": "s8",
}


def dtype_name(dtype: Any) -> str:
    """Returns what HLO calls an element type.

    Example:
        >>> dtype_name(jnp.dtype("float32"))
        'f32'
    """
    return _NAMES[str(dtype)]


class Wire(NamedTuple):
    """What the members along one mesh axis can do together, inside `shard_map`.

    Attributes:
        axis: Name of the axis.
        size: Members along it.
        place: () -> `int32[]`, this member's place along the axis.
        sum: Tree -> its sum over the members, leaf by leaf.
        max: Array -> its maximum over the members.
        gather: `[...]` -> `[size, ...]`, everyone's.
        swap: `[size, ...]` -> `[size, ...]`: entry j goes to member j, and entry i of
            the result came from member i.
        send: (array, pairs of sender and receiver) -> what was received, or zeros.
        outside: () -> `int32[]`, this member's place along the axes further out, taken
            together; None where there are none.
        seed: The run's.
    """

    axis: str
    size: int
    place: Callable[[], jax.Array]
    sum: Callable[[Any], Any]
    max: Callable[[jax.Array], jax.Array]
    gather: Callable[[jax.Array], jax.Array]
    swap: Callable[[jax.Array], jax.Array]
    send: Callable[[jax.Array, Pairs], jax.Array]
    outside: Callable[[], jax.Array] | None = None
    seed: int = 0

    def stream(self, use: Stream, *, seed: int | None = None) -> int | jax.Array:
        """Returns the seed of what is drawn over this axis for a use.

        It differs from place to place along the axes further out, whose members would
        otherwise all make the same errors. Along the axes further in it is the same,
        for there copies may have to stay equal.

        Args:
            use: What is drawn.
            seed: A seed in the place of the run's.

        Example:
            >>> wire = mesh_wire("host", 2, seed=3)
            >>> wire.stream(Stream.AGES) == wire.stream(Stream.AGES, seed=4)
            False
        """
        words = use, self._name, self.seed if seed is None else seed
        if self.outside is None:
            return seed_from(*words, 0)
        return seed_within(seed_from(*words), self.outside())

    def stream_alike(self, use: Stream) -> int:
        """Returns the same, of what is drawn alike by all members of the mesh."""
        return seed_from(use, self._name, self.seed, 0)

    @property
    def _name(self) -> int:
        return zlib.crc32(self.axis.encode())


WireOf = Callable[[str, int, Outer], Wire]


def mesh_wire(axis: str, size: int, outer: Outer = (), *, seed: int = 0) -> Wire:
    """Returns the wire over a mesh axis that is manual where it is used.

    Args:
        axis: Its name.
        size: Members along it.
        outer: Names and sizes of the axes further out, the outermost first; they are
            manual too.
        seed: The run's.
    """

    def outside() -> jax.Array:
        place = jnp.int32(0)
        for name, num in outer:
            place = place * num + jax.lax.axis_index(name)
        return jnp.asarray(place)

    return Wire(
        axis=axis,
        size=size,
        place=lambda: jax.lax.axis_index(axis),
        sum=lambda tree: jax.lax.psum(tree, axis),
        max=lambda array: jax.lax.pmax(array, axis),
        gather=lambda array: jax.lax.all_gather(array, axis),
        swap=lambda array: jax.lax.all_to_all(array, axis, 0, 0),
        send=lambda array, pairs: jax.lax.ppermute(array, axis, pairs),
        outside=outside if outer else None,
        seed=seed,
    )


class Tape:
    """Wires on which nothing moves; what would have moved is written down.

    Attributes:
        messages: The messages so far, as one device sees them.

    Example:
        >>> tape = Tape()
        >>> tape.wire("host", 4).gather(jnp.zeros(3)).shape
        (4, 3)
        >>> tape.messages[0].kind, tape.messages[0].elements
        ('all-gather', 3)
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def wire(self, axis: str, size: int, outer: Outer = ()) -> Wire:
        """Returns a wire that writes to this tape; of one member, nothing."""

        def note(kind: Kind, array: jax.Array, pairs: Pairs = ()) -> jax.Array:
            if size > 1:
                dtype = dtype_name(array.dtype)
                found = Message(kind, dtype, int(array.size), pairs=pairs)
                self.messages.append(found)
            return array

        def add(tree: Any) -> Any:
            """Notes one message an element type: leaves are added in one go."""
            sizes: Counter[str] = Counter()
            for leaf in jax.tree.leaves(tree):
                sizes[dtype_name(leaf.dtype)] += int(leaf.size)
            if size > 1:
                self.messages += [
                    Message("all-reduce", dtype, num) for dtype, num in sizes.items()
                ]
            return tree

        def gather(array: jax.Array) -> jax.Array:
            note("all-gather", array)
            return jnp.broadcast_to(array, (size, *array.shape))

        return Wire(
            axis=axis,
            size=size,
            place=lambda: jnp.int32(0),
            sum=add,
            max=lambda array: note("all-reduce", array),
            gather=gather,
            swap=lambda array: note("all-to-all", array),
            send=lambda array, pairs: note(
                "collective-permute", array, tuple(sorted(pairs))
            ),
            outside=(lambda: jnp.int32(0)) if outer else None,
        )
