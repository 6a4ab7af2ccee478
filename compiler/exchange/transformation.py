"""Exchanges as optax transformations, for training loops that Diamond did not write.

Each function returns an `optax.GradientTransformationExtraArgs` to be used inside
`jax.shard_map` where the axis is manual, with `check_vma=False` (jax cannot see that a
gathered mean is equal on all devices). A synchronous exchange goes before the
optimizer and maps gradients to gradients; a local one goes after it and maps
parameters to parameters:

    gradients, a = synchronous.update(gradients, a)
    updates, b = optimizer.update(gradients, b, params)
    params = optax.apply_updates(params, updates)
    params, c = local.update(params, c)

So a synchronous exchange may stand in `optax.chain` and a local one may not. Of two
nested local exchanges the inner one does not learn where the outer one put the copies;
where anchors matter (a rounding codec, `Nesterov`), compile a scheme instead.

`init` belongs inside `shard_map` too, or outside with `size` given. What a codec lost
differs from device to device, so the state is kept sharded over the axis.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from diamond.compiler.exchange.contract import Mixer, Rule, State, Tree
from diamond.compiler.exchange.tables import codec_of, mixer_of, rule_of
from diamond.dsl import vocabulary as words
from diamond.dsl.vocabulary import scheme as families

_NONE, _ALLREDUCE, _AVERAGE = words.NoCompression(), words.AllReduce(), words.Average()


class ExchangeState(NamedTuple):
    """State of one exchange on one device.

    Attributes:
        updates: `int32[]`, updates so far.
        rule: The rule's state, such as an anchor; like the parameters.
        mixer: What codecs lost; `[n]`, this device's own.
    """

    updates: jax.Array
    rule: State
    mixer: State


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
        centralization: Who talks to whom.
        size: Members along the axis; looked up where not given.

    Example:
        >>> exchange = synchronous("data", compression=words.Int8(block=64))
    """
    return _transformation(axis, words.Synchronous(), compression, centralization, size)


def local(
    axis: str,
    *,
    every: int,
    outer: words.Average | words.Nesterov = _AVERAGE,
    compression: families.Compression = _NONE,
    centralization: families.Centralization = _ALLREDUCE,
    size: int | None = None,
) -> optax.GradientTransformationExtraArgs:
    """Lets copies take `every` steps alone, then makes them meet.

    `init` and `update` take parameters; `update` returns parameters.

    Args:
        axis: Name of a manual mesh axis.
        every: Updates between two meetings.
        outer: What the copies do when they meet.
        compression: Form of the values on the wire.
        centralization: Who talks to whom.
        size: Members along the axis; looked up where not given.

    Example:
        >>> exchange = local("site", every=50, outer=words.Nesterov(lr=0.7))
    """
    rule = words.Local(every=every, outer=outer)
    return _transformation(axis, rule, compression, centralization, size)


def _transformation(
    axis: str,
    consistency: families.Consistency,
    compression: families.Compression,
    centralization: families.Centralization,
    size: int | None,
) -> optax.GradientTransformationExtraArgs:
    codec = codec_of(compression)
    rule = rule_of(consistency, is_exact=codec.is_exact)

    def mixer() -> Mixer:
        members = size or jax.lax.axis_size(axis)
        return mixer_of(centralization, axis=axis, size=members, codec=codec)

    def init(params: Tree) -> ExchangeState:
        return ExchangeState(jnp.int32(0), rule.init(params), mixer().init(params))

    def update(
        values: Tree, state: ExchangeState, params: Tree = None, **extra: Any
    ) -> tuple[Tree, ExchangeState]:
        del extra
        if rule.subject == "parameters" and params is not None:
            raise ValueError(
                "a local exchange takes and returns parameters, so it cannot stand in "
                "`optax.chain`: apply the updates, then call "
                "`params, state = exchange.update(params, state)`"
            )
        updates = state.updates + 1
        if rule.every == 1:
            values, state = _meet(values, state, rule, mixer())
        else:
            values, state = jax.lax.cond(
                updates % rule.every == 0,
                lambda: _meet(values, state, rule, mixer()),
                lambda: (values, state),
            )
        return values, state._replace(updates=updates)

    return optax.GradientTransformationExtraArgs(init, update)


def _meet(
    values: Tree, state: ExchangeState, rule: Rule, mixer: Mixer
) -> tuple[Tree, ExchangeState]:
    mean, mixed = mixer.mean(rule.offer(values, state.rule), state.mixer)
    values, kept = rule.accept(values, mean, state.rule)
    return values, ExchangeState(state.updates, rule.rebase(values, kept), mixed)
