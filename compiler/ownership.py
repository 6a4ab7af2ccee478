"""Ownership: of which parameters a member keeps the optimizer's state."""

from typing import Any

import jax

from diamond.compiler.exchange.site import Site
from diamond.compiler.exchange.tables import mixer_of
from diamond.compiler.exchange.wire import Tape
from diamond.compiler.plan import TensorSpec
from diamond.compiler.timeline import agreements_of
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import Replicas, Scheme


def owned_of(scheme: Scheme, tensors: tuple[TensorSpec, ...], params: Any) -> Any:
    """Returns the shapes of what a member's optimizer updates.

    Args:
        scheme: The scheme.
        tensors: The parameters, in the tree's order.
        params: Their shapes, as a tree.

    Returns:
        `params`; or one shard of them, where there is a parameter server.
    """
    for block in scheme.replicas:
        if isinstance(block.centralization, words.ParameterServer):
            size = next(a.size for a in scheme.mesh if a.name == block.axis)
            return [_shard(block, size, tensors, params)]
    return params


def _shard(
    block: Replicas, size: int, tensors: tuple[TensorSpec, ...], params: Any
) -> Any:
    forms = tuple(each.compression for each in agreements_of(block))
    site = Site(Tape().wire(block.axis, size), tensors, forms=forms)
    server = mixer_of(block.centralization, forms[0], site).server
    assert server is not None
    return jax.eval_shape(server.own, jax.tree.leaves(params))
