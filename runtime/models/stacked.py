"""Stacked blocks: a transformer's parameters and parts as a pipeline takes them."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from diamond.compiler.parallelism.remat import recomputed
from diamond.compiler.parallelism.spread import Spread
from diamond.compiler.parallelism.stack import BLOCKS, LAYERS, Stack
from diamond.compiler.task import Batch, Params
from diamond.dsl.vocabulary.scheme import Train
from diamond.dsl.vocabulary.training import Transformer
from diamond.runtime.models.functional import Functional, computing_in, functional
from diamond.runtime.models.transformer import Block, Ends

Values = Callable[[jax.Array, jax.Array], jax.Array]


def with_stacked_blocks(model: Functional, order: Sequence[int]) -> Functional:
    """Returns a model whose blocks' parameters are stacked, in a given order.

    Args:
        model: A model with a list of alike `blocks`.
        order: Which block stands at each place.
    """

    def merge(params: Params) -> Any:
        return model.merge(_apart(params, order))

    return model._replace(
        init=lambda key: _stacked(model.init(key), order),
        apply=lambda params, *inputs: merge(params)(*inputs),
        merge=merge,
        dims={**model.dims, BLOCKS: _named(model.dims[BLOCKS]["0"])},
    )


def stack_of(
    term: Transformer, vocab: int, values: Values, train: Train, spread: Spread
) -> Stack:
    """Returns a transformer and its loss in the parts that a pipeline takes.

    Args:
        term: The model.
        vocab: Tokens of the vocabulary.
        values: (logits, targets) -> one loss an example.
        train: In which precision it computes, and what of a block it computes again.
        spread: The groups that cut blocks and ends up.
    """
    ends, block = (
        computing_in(functional(made), train.precision)
        for made in (
            lambda rngs: Ends(term, vocab, spread),
            lambda rngs: Block(term, spread),
        )
    )

    def leave(params: Params, x: jax.Array, batch: Batch) -> jax.Array:
        return jnp.mean(values(ends.merge(params).leave(x), batch["y"]))

    def one(params: Params, x: jax.Array) -> jax.Array:
        computed: jax.Array = recomputed(block.merge(params), train.remat)(x)
        return computed

    return Stack(
        enter=lambda params, batch: ends.merge(params).enter(batch["x"]),
        block=one,
        leave=leave,
    )


def _stacked(params: Params, order: Sequence[int]) -> Params:
    blocks = [params[BLOCKS][str(block)] for block in order]
    return {**params, BLOCKS: jax.tree.map(lambda *each: jnp.stack(each), *blocks)}


def _apart(params: Params, order: Sequence[int]) -> Params:
    def block(place: int) -> Params:
        return jax.tree.map(lambda leaf: leaf[place], params[BLOCKS])

    blocks = {str(number): block(place) for place, number in enumerate(order)}
    return {**params, BLOCKS: blocks}


def _named(dims: Any) -> Any:
    def is_names(node: Any) -> bool:
        return isinstance(node, tuple)

    return jax.tree.map(lambda names: (LAYERS, *names), dims, is_leaf=is_names)
