"""Exchanges of gradients: they go before the optimizer, and may stand in a chain.

    gradients, a = exchange.update(gradients, a)
    updates, b = optimizer.update(gradients, b, params)
    params = optax.apply_updates(params, updates)

Where a rule looks back, the gradient is taken at `exchange.view(params, a)`, and
`update` takes the parameters too. What the language refuses over one axis is refused
here with the same code, as a `ValueError`.
"""

import optax

from diamond.compiler.exchange.transformation.transform import (
    LookingBack,
    Terms,
    check_averages,
    looking_back,
    transformation,
)
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

_NONE, _ALLREDUCE, _DELAYS = words.NoCompression(), words.AllReduce(), words.Delays()


def synchronous(
    axis: str,
    *,
    compression: families.Compression = _NONE,
    centralization: families.Centralization = _ALLREDUCE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Averages gradients over a mesh axis at every update.

    Args:
        axis: Name of a manual mesh axis.
        compression: Form of the values on the wire, such as `diamond.Int8()`.
        centralization: How all members get the mean, an `AllReduce`.
        size: Members along the axis; looked up where not given.

    Raises:
        ValueError: Under a parameter server or a gossip, and if the language refuses
            the terms together.

    Example:
        >>> exchange = synchronous("data", compression=words.Int8(block=64))
    """
    check_averages(centralization)
    rule = words.Synchronous()
    return transformation(Terms(axis, rule, compression, centralization, size))


def pipelined(
    axis: str,
    *,
    delay: int = 1,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Averages gradients, and gives out each mean `delay` updates later.

    The first `delay` updates give zeros.

    Args:
        axis: Name of a manual mesh axis.
        delay: Updates from forming a mean to giving it out, at least 1.
        compression: Form of the values on the wire.
        size: Members along the axis; looked up where not given.

    Example:
        >>> chain = optax.chain(pipelined("data", delay=1), optax.sgd(0.1))
    """
    rule = words.Pipelined(delay)
    return transformation(Terms(axis, rule, compression, _ALLREDUCE, size))


def stale_synchronous(
    axis: str,
    *,
    bound: int = 3,
    delays: words.Delays = _DELAYS,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Averages what members sent, each of them late within a bound (SSP).

    What it gives differs from member to member, and so do the parameters from then on:
    keep them sharded over the axis.

    Args:
        axis: Name of a manual mesh axis.
        bound: Most updates for which a member is silent.
        delays: Law of the silences.
        compression: Form of the values on the wire.
        size: Members along the axis; looked up where not given.

    Example:
        >>> late = words.Delays(law="geometric", mean=2.0, seed=1)
        >>> exchange = stale_synchronous("data", bound=4, delays=late)
    """
    rule = words.StaleSynchronous(bound, delays)
    return transformation(Terms(axis, rule, compression, _ALLREDUCE, size))


def asynchronous(
    axis: str,
    *,
    max_staleness: int = 4,
    compensation: str = "none",
    strength: float = 0.04,
    delays: words.Delays = _DELAYS,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> LookingBack:
    """Averages gradients that members take at parameters of some updates ago.

        gradients = jax.grad(loss)(exchange.view(params, state), batch)
        gradients, state = exchange.update(gradients, state, params)

    In a chain the state to view with is this link's own, such as `state[0]`.

    Args:
        axis: Name of a manual mesh axis.
        max_staleness: Most updates ago.
        compensation: `none`, `damped` (by age) or `dc` (to first order).
        strength: Strength of `dc`.
        delays: Law of the ages.
        compression: Form of the values on the wire.
        size: Members along the axis; looked up where not given.

    Example:
        >>> exchange = asynchronous("data", max_staleness=2, compensation="damped")
        >>> chain = optax.chain(exchange, optax.sgd(0.1))
    """
    rule = words.Asynchronous(max_staleness, compensation, strength, delays)
    return looking_back(Terms(axis, rule, compression, _ALLREDUCE, size))


def hogwild(
    axis: str,
    *,
    max_staleness: int = 2,
    compression: families.Compression = _NONE,
    size: int | None = None,
) -> LookingBack:
    """Averages gradients taken at parameters whose coordinates differ in age.

    Used as `asynchronous` is, with `view`.

    Args:
        axis: Name of a manual mesh axis.
        max_staleness: Most updates that a coordinate is old.
        compression: Form of the values on the wire.
        size: Members along the axis; looked up where not given.

    Example:
        >>> chain = optax.chain(hogwild("data", max_staleness=2), optax.sgd(0.1))
    """
    rule = words.Hogwild(max_staleness)
    return looking_back(Terms(axis, rule, compression, _ALLREDUCE, size))
