"""Pipeline parallelism: blocks in stages, one a device.

A device holds some of the blocks and works on one microbatch at a time. What it makes
goes to the device of the blocks that follow, and gradients come back. A table
(`schedules/`) says what each stage does at each tick:

    F    y = chunk(x); x is kept, y is sent on
    B    the chunk is computed again from x; g, the gradient by y, came back;
         the gradient by x is sent back, that by the weights is added up
    W    with `zero_bubble` B stops at the gradient by x, and this is the rest

    gradient = sum over microbatches of g_m (1/M), as of the whole share at once

Of a chunk the inputs are kept and nothing else, so a device holds as many of them as
its schedule has microbatches under way: M with `gpipe`, at most S with `one_f_one_b`
over S stages. W of `zero_bubble` needs what B left: the inputs of the linear maps and
the gradients by their outputs, of at most S microbatches.

The first stage looks tokens up, the last one has the final norm, the head and the loss;
the others skip that. But all devices run one program, so each keeps a copy of those
parameters and of the batch. Their gradients are zero where they are not used, and are
summed over the axis.

A model of the caller's own is taken apart by the names of its parts, `embed`, a list
`blocks` and `head`, and its loss around its one call of the model: the first stage runs
the loss up to there, and the last one from there on. Both ends are everywhere, so they
may share parameters. The parts are held against the module's own call when it is
compiled.

Blocks and ends of the language's models may be cut up over other axes: all devices of a
stage do the same at the same tick, so they may talk inside of it. `zero`, of any model,
gathers the parameters of a stage at stage 3 once a step, in fp32, and not at each tick.

Bill: with V values of activations in a microbatch, a device sends V to each neighbour
at each tick, whether it has something to say or not, but for the ticks before the first
gradient, when nothing goes back, and those after the last activation, when nothing goes
on: M + S - 1 times each way with `gpipe`, up to twice as often with the others. Once a
step it sums the gradients of both ends. `interleaved` closes the ring.

Limits: with one stage, and in what is computed, it is `accumulate` on one device.

References: as in the files of the schedules. We compute chunks again, as GPipe does;
in the papers on the others that is left to choose.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from diamond.compiler.parallelism.backward import halves_of
from diamond.compiler.parallelism.precision import carried
from diamond.compiler.parallelism.schedules.slots import NOWHERE, Row, rows_of
from diamond.compiler.parallelism.schedules.table import Table
from diamond.compiler.parallelism.spans import Span, spans_of
from diamond.compiler.parallelism.stack import BLOCKS, Stack
from diamond.compiler.parallelism.stage import Carry, Stage, written

Step = Callable[[Any, Any], tuple[jax.Array, Any]]


class Pipeline(NamedTuple):
    """The stages along one axis, inside `shard_map`.

    Attributes:
        axis: Name of the axis.
        table: The schedule.
        scope: Name that its collectives carry in compiled programs.
    """

    axis: str
    table: Table
    scope: str

    def send(self, x: jax.Array, by: int) -> jax.Array:
        """Sends to the stage `by` places on, round the ring where chunks need it."""
        stages = self.table.stages
        pairs = [(stage, stage + by) for stage in range(stages)]
        if self.table.chunks == 1:
            pairs = [(a, b) for a, b in pairs if 0 <= b < stages]
        pairs = [(a, b % stages) for a, b in pairs]
        with jax.named_scope(self.scope):
            return carried(lambda x: jax.lax.ppermute(x, self.axis, pairs), x)

    def total(self, tree: Any) -> Any:
        """Sums over all stages."""
        with jax.named_scope(self.scope):
            return jax.tree.map(lambda x: jax.lax.psum(x, self.axis), tree)


def pipelined(pipeline: Pipeline, stack: Stack, share: float = 1.0) -> Step:
    """Returns a step: (parameters, batch) -> (mean loss, its gradient times a share).

    Args:
        pipeline: The stages.
        stack: The model in parts.
        share: What gradients are multiplied by before they are added up.
    """
    table, rows = pipeline.table, rows_of(pipeline.table)

    def step(params: Any, batch: Any) -> tuple[jax.Array, Any]:
        blocks = params[BLOCKS]
        ends = {name: part for name, part in params.items() if name != BLOCKS}
        parts = {name: _cut(array, table.microbatches) for name, array in batch.items()}
        stage = Stage(table, stack, share, ends, blocks, parts)
        if table.is_split:
            halves = halves_of(stage.chunk, blocks, stage.like())
            stage = stage._replace(halves=halves)
        carry = stage.start(rows)
        for span in spans_of(rows):
            carry, _ = jax.lax.scan(_tick(pipeline, stage, span), carry, span.rows)
        loss, ends = pipeline.total((carry.sums.loss, carry.sums.ends))
        return loss, {**ends, BLOCKS: carry.sums.blocks}

    return step


def _tick(
    pipeline: Pipeline, stage: Stage, span: Span
) -> Callable[[Carry, Row], tuple[Carry, None]]:
    """Returns what a tick does: work by this stage's row, then messages."""
    branches = stage.work(span)

    def run(carry: Carry, rows: Any) -> tuple[Carry, None]:
        mine = jax.lax.axis_index(pipeline.axis)
        row = Row(*(field[mine] for field in rows))
        carry, sent = jax.lax.switch(row.kind, branches, carry, row)
        inputs, gradients = carry.buffers.inputs, carry.buffers.gradients
        if span.forward:
            arrived = pipeline.send(sent.forward, 1)
            inputs = _landed(inputs, arrived, row.input_lands)
        if span.backward:
            arrived = pipeline.send(sent.backward, -1)
            gradients = _landed(gradients, arrived, row.gradient_lands)
        buffers = carry.buffers._replace(inputs=inputs, gradients=gradients)
        return carry._replace(buffers=buffers), None

    return run


def _cut(array: jax.Array, parts: int) -> jax.Array:
    return array.reshape(parts, len(array) // parts, *array.shape[1:])


def _landed(buffer: jax.Array, x: jax.Array, slot: Any) -> jax.Array:
    """Writes what arrived to its slot, if this stage has use for it."""
    return jax.lax.cond(  # type: ignore[no-any-return]
        slot == NOWHERE, lambda: buffer, lambda: written(buffer, x, slot)
    )
