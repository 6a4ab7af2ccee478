"""What one stage of a pipeline does at one tick; nothing here crosses the axis."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from diamond.compiler.parallelism.backward import Finish, Halves
from diamond.compiler.parallelism.branches import Branch
from diamond.compiler.parallelism.schedules.slots import Row, Rows
from diamond.compiler.parallelism.schedules.table import Table
from diamond.compiler.parallelism.spans import Span
from diamond.compiler.parallelism.stack import Stack


class Sums(NamedTuple):
    """What is added up over microbatches: the loss, and gradients of both parts."""

    loss: jax.Array
    ends: Any
    blocks: Any


class Buffers(NamedTuple):
    """What a stage keeps, each `[slots, ...]`.

    Attributes:
        inputs: What goes into its chunks.
        gradients: Gradients by what came out of them.
        kept: What W needs of B.
    """

    inputs: jax.Array
    gradients: jax.Array
    kept: list[jax.Array]


class Carry(NamedTuple):
    """What goes from one tick to the next."""

    sums: Sums
    buffers: Buffers


class Sent(NamedTuple):
    """What a stage made for its neighbours."""

    forward: jax.Array
    backward: jax.Array


Worker = Callable[[Carry, Row], tuple[Carry, Sent]]


class Stage(NamedTuple):
    """What a device works with during one step.

    Attributes:
        table: The schedule.
        stack: The model in parts.
        share: What gradients are multiplied by.
        ends: Parameters but those of the blocks.
        blocks: Parameters of this device's blocks.
        parts: The batch, `[microbatches, examples, ...]`.
        halves: The backward of a chunk where it is split.
    """

    table: Table
    stack: Stack
    share: float
    ends: Any
    blocks: Any
    parts: dict[str, jax.Array]
    halves: Halves | None = None

    def start(self, rows: Rows) -> Carry:
        """Returns empty buffers, and sums of nothing."""
        like = self.like()
        kept = self.halves.kept if self.halves else []
        zeros = jax.tree.map(jnp.zeros_like, (self.ends, self.blocks))
        loss = jax.eval_shape(self.stack.leave, self.ends, like, self._part(0))
        buffers = Buffers(
            _empty(rows.inputs, like),
            _empty(rows.gradients, like),
            [_empty(rows.kept, each) for each in kept],
        )
        return Carry(Sums(jnp.zeros((), loss.dtype), *zeros), buffers)

    def work(self, span: Span) -> list[Worker]:
        """Returns what to do for each kind of work in some ticks."""
        workers = (self._wait, self._forward, self._backward, self._weights)
        branches = [Branch(span, kind, self._end) for kind in span.kinds]
        return [
            branch.anywhere(functools.partial(workers[branch.kind], branch))
            for branch in branches
        ]

    def _wait(self, branch: Branch, carry: Carry, row: Row) -> tuple[Carry, Sent]:
        return carry, self._nothing()

    def _forward(self, branch: Branch, carry: Carry, row: Row) -> tuple[Carry, Sent]:
        """Computes a chunk; the last one's output is of use in its backward alone."""

        def compute() -> jax.Array:
            return self.chunk(self._mine(row), self._input(branch, carry, row))

        nothing = self._nothing()
        made = jax.lax.cond(
            row.place == self._end,
            lambda: nothing.forward,
            branch.before_last(compute),
        )
        return carry, nothing._replace(forward=made)

    def _backward(self, branch: Branch, carry: Carry, row: Row) -> tuple[Carry, Sent]:
        x, mine = self._input(branch, carry, row), self._mine(row)
        if self.halves is not None:
            return self._by_input(branch, carry, row, self.halves.run(mine, x))
        y, pull = jax.vjp(self.chunk, mine, x)
        sums, back = self._judged(branch, carry, row, y)
        blocks, back = pull(back)
        sums = self._added(sums, row, blocks)
        sums = self._entered(branch, sums, row, back)
        return carry._replace(sums=sums), self._nothing()._replace(backward=back)

    def _by_input(
        self, branch: Branch, carry: Carry, row: Row, ran: tuple[jax.Array, Finish]
    ) -> tuple[Carry, Sent]:
        """Of the backward what the stage before waits for."""
        y, finish = ran
        sums, back = self._judged(branch, carry, row, y)
        back, kept = finish(back)
        buffers = carry.buffers._replace(
            kept=[
                written(buffer, each, row.kept)
                for buffer, each in zip(carry.buffers.kept, kept, strict=True)
            ]
        )
        sums = self._entered(branch, sums, row, back)
        return Carry(sums, buffers), self._nothing()._replace(backward=back)

    def _weights(self, branch: Branch, carry: Carry, row: Row) -> tuple[Carry, Sent]:
        kept = [_read(buffer, row.kept) for buffer in carry.buffers.kept]
        assert self.halves is not None
        blocks = self.halves.weights(self._mine(row), kept)
        sums = self._added(carry.sums, row, blocks)
        return carry._replace(sums=sums), self._nothing()

    def _judged(
        self, branch: Branch, carry: Carry, row: Row, y: jax.Array
    ) -> tuple[Sums, jax.Array]:
        """Returns the gradient by a chunk's output: the loss's, or what came back."""
        sums, part = carry.sums, self._part(row.microbatch)

        def judge() -> tuple[Sums, jax.Array]:
            mean = 1 / self.table.microbatches
            loss, pull = jax.vjp(
                lambda p, y: self.stack.leave(p, y, part), self.ends, y
            )
            ends, back = pull(jnp.full_like(loss, mean * self.share))
            total = jax.tree.map(jnp.add, sums.ends, ends)
            return sums._replace(loss=sums.loss + loss * mean, ends=total), back

        def take() -> tuple[Sums, jax.Array]:
            return sums, _read(carry.buffers.gradients, row.gradient)

        is_last = row.place == self._end
        return jax.lax.cond(is_last, branch.last(judge), take)  # type: ignore[no-any-return]

    def _entered(self, branch: Branch, sums: Sums, row: Row, back: jax.Array) -> Sums:
        """Adds the gradient of what makes the first block's input."""
        part = self._part(row.microbatch)

        def enter() -> Sums:
            _, pull = jax.vjp(lambda p: self.stack.enter(p, part), self.ends)
            return sums._replace(ends=jax.tree.map(jnp.add, sums.ends, *pull(back)))

        is_first = row.place == 0
        return jax.lax.cond(is_first, branch.first(enter), lambda: sums)  # type: ignore[no-any-return]

    def _added(self, sums: Sums, row: Row, blocks: Any) -> Sums:
        """Adds the gradient of a chunk at its place."""

        def add(total: jax.Array, found: jax.Array) -> jax.Array:
            start = row.chunk * len(found)
            here = jax.lax.dynamic_slice_in_dim(total, start, len(found))
            return jax.lax.dynamic_update_slice_in_dim(total, here + found, start, 0)

        return sums._replace(blocks=jax.tree.map(add, sums.blocks, blocks))

    def _input(self, branch: Branch, carry: Carry, row: Row) -> jax.Array:
        def enter() -> jax.Array:
            return self.stack.enter(self.ends, self._part(row.microbatch))

        def read() -> jax.Array:
            return _read(carry.buffers.inputs, row.input)

        is_first = row.place == 0
        return jax.lax.cond(is_first, branch.first(enter), read)  # type: ignore[no-any-return]

    def chunk(self, blocks: Any, x: jax.Array) -> jax.Array:
        """Computes some blocks, one after another."""
        for place in range(len(jax.tree.leaves(blocks)[0])):
            x = self.stack.block(jax.tree.map(lambda leaf, p=place: leaf[p], blocks), x)
        return x

    def _mine(self, row: Row) -> Any:
        """Returns the parameters of a chunk."""
        chunks = self.table.chunks

        def take(leaf: jax.Array) -> jax.Array:
            size = len(leaf) // chunks
            found: jax.Array = jax.lax.dynamic_slice_in_dim(
                leaf, row.chunk * size, size
            )
            return found

        return jax.tree.map(take, self.blocks) if chunks > 1 else self.blocks

    def _part(self, microbatch: Any) -> dict[str, jax.Array]:
        return {name: array[microbatch] for name, array in self.parts.items()}

    def like(self) -> jax.ShapeDtypeStruct:
        """Returns the shape of a microbatch's activations."""
        like: jax.ShapeDtypeStruct = jax.eval_shape(
            self.stack.enter, self.ends, self._part(0)
        )
        return like

    def _nothing(self) -> Sent:
        like = self.like()
        zeros = jnp.zeros(like.shape, like.dtype)
        return Sent(zeros, zeros)

    @property
    def _end(self) -> int:
        """Place of the last chunk."""
        return self.table.stages * self.table.chunks - 1


def _empty(slots: int, like: Any) -> jax.Array:
    return jnp.zeros((slots, *like.shape), like.dtype)


def _read(buffer: jax.Array, slot: Any) -> jax.Array:
    read: jax.Array = jax.lax.dynamic_index_in_dim(buffer, slot, keepdims=False)
    return read


def written(buffer: jax.Array, x: jax.Array, slot: Any) -> jax.Array:
    """Writes one slot of a buffer."""
    written: jax.Array = jax.lax.dynamic_update_index_in_dim(buffer, x, slot, 0)
    return written
