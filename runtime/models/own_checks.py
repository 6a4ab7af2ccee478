"""Whether a module of the caller's own is what a pipeline makes of its parts.

Both are traced with shapes, and lowered: where the texts are the same, they compute the
same. Else they may do so in another way, and both are run with random numbers.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from diamond.compiler.parallelism.spread import WHOLE
from diamond.compiler.parallelism.stack import BLOCKS, Stack
from diamond.compiler.task import Batch, Task
from diamond.dsl.legality.finding import Finding, Refusal
from diamond.dsl.legality.stacks import calls_otherwise, loss_uses, unlike
from diamond.dsl.vocabulary.scheme import Axis
from diamond.runtime.models.own_stack import OwnStack, without_blocks
from diamond.runtime.models.standin import Judge, LossUse, called_with

FEW = 2  # examples
SCALE = 0.1  # of random numbers
NEAR = 1e-3  # relative difference of what is computed in another order

Shapes = Mapping[str, jax.ShapeDtypeStruct]
Function = Callable[[Any, Batch], Any]


def check_stack(
    own: OwnStack, task: Task, loss: Judge, shapes: Shapes, axis: Axis
) -> None:
    """Holds a module and its loss against their parts.

    Args:
        own: The module in parts.
        task: What is trained, with the stack that stages run.
        loss: The loss.
        shapes: Shapes of a batch.
        axis: The axis of the stages.

    Raises:
        SchemeError: If they would compute something else.
    """
    key = jax.eval_shape(lambda: jax.random.key(0))
    batch = {name: _few(shape) for name, shape in shapes.items()}
    params = jax.eval_shape(task.init, key)
    jax.eval_shape(task.loss, params, batch)  # errors of the loss itself come first
    _check_call(own, loss, jax.eval_shape(own.whole.init, key), batch, axis)
    assert task.stack is not None
    _check_stages(own.name, task.stack(WHOLE), params, batch, axis)


def _check_call(
    own: OwnStack, loss: Judge, params: Any, batch: Shapes, axis: Axis
) -> None:
    """A module computes what its parts do in a row."""

    def by_module(params: Any, batch: Batch) -> Any:
        called = called_with(loss, batch)
        return own.whole.merge(params)(*called.inputs, **called.named)

    def by_parts(params: Any, batch: Batch) -> Any:
        return own.outputs(params, called_with(loss, batch))

    with _refusing(lambda why: loss_uses(axis, why)):
        jax.eval_shape(by_module, params, batch)
    with _refusing(lambda why: calls_otherwise(axis, own.name, f"that {why}")):
        jax.eval_shape(by_parts, params, batch)
    if not _alike(by_module, by_parts, params, batch):
        why = "the same numbers give other outputs"
        raise Refusal((calls_otherwise(axis, own.name, why),))


def _check_stages(
    name: str, stack: Stack, params: Any, batch: Shapes, axis: Axis
) -> None:
    """Blocks keep the shape of what they pass on, and the loss asks for no more."""
    ends, blocks = without_blocks(params), params[BLOCKS]
    x = jax.eval_shape(stack.enter, ends, batch)
    block = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), blocks
    )
    y = jax.eval_shape(stack.block, block, x)
    if not isinstance(x, jax.ShapeDtypeStruct) or _text(x) != _text(y):
        what = f"a block of `{name}` makes {_text(y)} of {_text(x)}"
        raise Refusal((unlike(axis, what),))
    with _refusing(lambda why: loss_uses(axis, why)):
        jax.eval_shape(stack.leave, ends, x, batch)


@contextlib.contextmanager
def _refusing(finding: Callable[[str], Finding]) -> Iterator[None]:
    """Refuses where something fails that does not with the module itself."""
    try:
        yield
    except LossUse as use:
        raise Refusal((finding(str(use)),)) from use
    except Exception as error:
        [first, *_] = str(error).splitlines() or [""]
        why = f"fails with {type(error).__name__}: {first}"
        raise Refusal((finding(why),)) from error


def _alike(one: Function, other: Function, params: Any, batch: Any) -> bool:
    """Whether two functions give the same outputs."""
    if _lowered(one, params, batch) == _lowered(other, params, batch):
        return True
    draw = np.random.default_rng(0)
    drawn = jax.tree.map(lambda leaf: _drawn(draw, leaf), (params, batch))
    outputs = [jax.tree.leaves(jax.jit(each)(*drawn)) for each in (one, other)]
    return all(_near(a, b) for a, b in zip(*outputs, strict=True))


def _lowered(function: Function, params: Any, batch: Any) -> str:
    def call(params: Any, batch: Any) -> Any:  # texts begin with its name
        return function(params, batch)

    return jax.jit(call).lower(params, batch).as_text()


def _drawn(draw: np.random.Generator, like: jax.ShapeDtypeStruct) -> Any:
    if jnp.issubdtype(like.dtype, jnp.floating):
        return (SCALE * draw.normal(size=like.shape)).astype(like.dtype)
    return draw.integers(0, 2, like.shape).astype(like.dtype)


def _near(a: jax.Array, b: jax.Array) -> bool:
    if a.shape != b.shape:
        return False
    scale = float(jnp.abs(b).max(initial=0))
    return bool(jnp.all(jnp.abs(a - b) <= NEAR * scale))


def _few(shape: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
    examples = min(FEW, shape.shape[0])
    return jax.ShapeDtypeStruct((examples, *shape.shape[1:]), shape.dtype)


def _text(x: Any) -> str:
    def each(leaf: Any) -> str:
        return f"{leaf.dtype}[{', '.join(map(str, leaf.shape))}]"

    return " and ".join(map(each, jax.tree.leaves(x))) or "nothing"
