"""What a model gives for a batch, and what a mixture of experts gives beside it."""

import jax

from diamond.compiler.task import Params
from diamond.runtime.models.functional import Functional
from diamond.runtime.models.mixture import MixtureModule


def with_penalty(
    model: Functional, params: Params, x: jax.Array
) -> tuple[jax.Array, jax.Array | None]:
    """Returns the outputs, and what is added to their mean loss, if anything."""
    module, x = model.merge(params), model.enter(x)
    if not isinstance(module, MixtureModule):
        return module(x), None
    outputs, routed = module.routed(x)
    return outputs, module.experts.balance * routed.imbalance


def with_notes(
    model: Functional, params: Params, x: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Returns the outputs, and metrics of the model's own, one value an example.

    Each example is routed by itself, so that nothing depends on its company.
    """
    module, x = model.merge(params), model.enter(x)
    if not isinstance(module, MixtureModule):
        return module(x), {}
    outputs, routed = jax.vmap(lambda row: module.routed(row[None]))(x)
    return outputs[:, 0], {"dropped": routed.dropped[:, 0]}
