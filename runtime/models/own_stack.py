"""A module of the caller's own as a pipeline takes it: `embed`, `blocks` and `head`.

Calling it is `head(blocks[-1](.. blocks[0](embed(x))))`. `embed` and `head` may share
parameters, since both are on every stage; blocks have their own.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from diamond.compiler.parallelism.stack import BLOCKS, Stack
from diamond.compiler.task import Batch, Params
from diamond.dsl.legality.stacks import Parts
from diamond.runtime.models.functional import (
    Functional,
    ModuleFactory,
    functional,
    part_of,
)
from diamond.runtime.models.standin import Called, Judge, called_with, judged

EMBED, HEAD = "embed", "head"
Owned = dict[int, tuple[str, str]]
"""For each parameter, by its identity, its path and its type."""


class Ends(nnx.Module):
    """What stands before the blocks of a module and after them."""

    def __init__(self, module: Any) -> None:
        self.embed = module.embed
        self.head = module.head


class OwnStack(NamedTuple):
    """A module in parts, as pure functions.

    Attributes:
        name: What its class is called.
        whole: The module.
        ends: `embed` and `head`.
        block: The first block, in which any block's parameters fit.
        num_blocks: How many there are.
    """

    name: str
    whole: Functional
    ends: Functional
    block: Functional
    num_blocks: int

    def outputs(self, params: Params, called: Called) -> Any:
        """Calls the parts one after another, with the parameters of the module."""
        ends = self.ends.merge(without_blocks(params))
        x = ends.embed(*called.in_order)
        for place in range(self.num_blocks):
            x = self.block.apply(params[BLOCKS][str(place)], x)
        return ends.head(x)


class Rounding(NamedTuple):
    """How a precision changes what a model computes with.

    Attributes:
        params: Parameters as they are kept -> as the model gets them.
        batch: A batch as it comes -> as the loss gets it.
        loss: The loss -> as it is reported.
    """

    params: Callable[[Params], Params]
    batch: Callable[[Batch], Batch]
    loss: Callable[[jax.Array], jax.Array]


def own_stack(model: nnx.Module | ModuleFactory) -> OwnStack:
    """Takes a module apart in which `parts_in` finds nothing wrong."""
    name, num = _looked_at(model, lambda m: (type(m).__name__, len(m.blocks)))
    return OwnStack(
        name,
        functional(model),
        functional(part_of(model, Ends)),
        functional(part_of(model, lambda module: module.blocks[0])),
        num,
    )


def stack_in(own: OwnStack, loss: Judge, rounding: Rounding) -> Stack:
    """Returns a module and its loss as stages run them."""
    key = jax.eval_shape(lambda: jax.random.key(0))
    one_block = jax.eval_shape(own.block.init, key)

    def enter(params: Params, batch: Batch) -> jax.Array:
        called = called_with(loss, rounding.batch(batch))
        embed = own.ends.merge(rounding.params(params)).embed
        entered: jax.Array = _widened(embed(*called.in_order), block, one_block)
        return entered

    def block(params: Params, x: jax.Array) -> jax.Array:
        computed: jax.Array = own.block.apply(rounding.params(params), x)
        return computed

    def leave(params: Params, x: jax.Array, batch: Batch) -> jax.Array:
        outputs = own.ends.merge(rounding.params(params)).head(x)
        return rounding.loss(judged(loss, outputs, rounding.batch(batch)))

    return Stack(enter, block, leave)


def _widened(x: Any, block: Any, params: Params) -> Any:
    """Casts what goes into the first block, where blocks give a wider type.

    `nnx.Embed` gives what it was made with, and not what its parameters were cast to.
    """
    y = jax.eval_shape(block, params, x)
    types = [leaf.dtype for leaf in jax.tree.leaves((x, y))]
    if len(types) == 2 and jnp.promote_types(*types) == types[1]:
        return x.astype(types[1])
    return x


def without_blocks(params: Mapping[str, Any]) -> Params:
    """Returns the parameters of both ends."""
    return {name: part for name, part in params.items() if name != BLOCKS}


def parts_in(model: nnx.Module | ModuleFactory) -> Parts:
    """Says what a module is made of, as far as a pipeline asks.

    Example:
        >>> parts_in(lambda rngs: nnx.Linear(2, 2, rngs=rngs)).lacking[0]
        '`Linear` has no `embed`'
    """
    return _looked_at(model, _parts)  # type: ignore[no-any-return]


def _looked_at(model: nnx.Module | ModuleFactory, look: Callable[[Any], Any]) -> Any:
    """Returns what is found of a module, whose arrays may be shapes alone."""
    if isinstance(model, nnx.Module):
        return look(model)
    made, found = part_of(model, look), []
    jax.eval_shape(lambda: found.append(made(nnx.Rngs(0))))
    return found[0]


def _parts(module: Any) -> Parts:
    name = type(module).__name__
    lacking = tuple(_lacking(module, name))
    if lacking:
        return Parts(name, lacking)
    ends = _owned(Ends(module))
    blocks = [_owned(block) for block in module.blocks]
    seen = {key: path for key, (path, _) in ends.items()}
    shared = []
    for place, block in enumerate(blocks):
        for key, (path, _) in block.items():
            here = f"{BLOCKS}/{place}/{path}"
            if key in seen:
                shared.append((seen[key], here))
            seen[key] = here
    return Parts(
        name,
        blocks=tuple(tuple(block.values()) for block in blocks),
        shared=tuple(shared),
        outside=tuple(p for k, (p, _) in _owned(module).items() if k not in seen),
    )


def _lacking(module: Any, name: str) -> list[str]:
    found = []
    for part in (EMBED, BLOCKS, HEAD):
        value = getattr(module, part, None)
        what = f"`{type(value).__name__}`"
        if value is None:
            found.append(f"`{name}` has no `{part}`")
        elif part != BLOCKS and (
            isinstance(value, nnx.Variable) or not callable(value)
        ):
            found.append(f"`{part}` of `{name}` is a {what}, which is no module")
        elif part == BLOCKS and not _is_list(value):
            found.append(f"`{part}` of `{name}` is a {what}, and no list of modules")
    return found


def _is_list(value: Any) -> bool:
    is_list = isinstance(value, nnx.List | list | tuple) and len(value) > 0
    return is_list and all(isinstance(each, nnx.Module) for each in value)


def _owned(node: Any) -> Owned:
    found = {}
    for path, each in nnx.iter_graph(node):
        if isinstance(each, nnx.Param):
            value = each.get_value()
            sizes = ", ".join(map(str, value.shape))
            found[id(each)] = ("/".join(map(str, path)), f"{value.dtype}[{sizes}]")
    return found
